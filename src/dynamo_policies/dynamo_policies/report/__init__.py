"""HTML reports: what was recorded, learnt and achieved, with pictures, videos and intervals."""
