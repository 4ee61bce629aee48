"""Where the shared material (real templates, vectors) is found, if it is there."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("STDOPS_SHARED") or ROOT.parent / "shared")
FIXTURES = SHARED / "fixtures" / "templates"

needs_shared = pytest.mark.skipif(
    not FIXTURES.is_dir(),
    reason=f"real templates are not at {FIXTURES}; set STDOPS_SHARED to the folder that has them",
)
