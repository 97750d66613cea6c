"""YAML whose few characters stand for very much, or for nothing that is data."""

import pytest
import yaml

from dynamo_policies.configs import parse_yaml
from dynamo_policies.errors import ConfigError
from dynamo_policies.safe_yaml import load_yaml

BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "aliases written out"),
        ("a: &a [*a]", "aliases written out"),
        (f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]", "aliases written out"),
        ("a: &a {b: 1}\nc: {<<: *a}", "tag:yaml.org,2002:merge"),
        ("a: 2001-13-45", "month"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_what_stands_for_more_than_it_is_or_for_no_data_is_refused(text: str, says: str) -> None:
    with pytest.raises(yaml.YAMLError, match=says):
        load_yaml(text)
    with pytest.raises(ConfigError, match=f"(?s)contract is not valid YAML: .*{says}"):
        parse_yaml(text, where="contract")


def test_aliases_are_read_as_our_own_files_have_them() -> None:
    shared = {"a": [1, 2, 3]}
    text = yaml.safe_dump([shared, shared, {"b": shared}])
    assert "*id001" in text
    assert load_yaml(text) == [shared, shared, {"b": shared}]
