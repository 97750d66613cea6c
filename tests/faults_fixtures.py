"""What tests of faults over DDS share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dynamo_policies.contract import Contract
from dynamo_ros.nodes.faults.rig import for_rig
from ideal_robot import write_patient


def patient_for_rig(contract: Contract, folder: Path) -> Contract:
    """Return `contract` for the rig, with more time for a computer that tests keep busy."""
    patient = write_patient(contract, folder / "patient.yaml")
    deadman = dataclasses.replace(patient.gates.deadman, max_age_ms=1e3)
    clock = dataclasses.replace(patient.gates.clock, jump_ms=1e3)
    gates = dataclasses.replace(patient.gates, deadman=deadman, clock=clock)
    return for_rig(dataclasses.replace(patient, gates=gates))
