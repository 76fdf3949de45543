"""Where the traces of real traffic lie, if they are there, for the tests and for `figures`."""

from __future__ import annotations

from pathlib import Path

SEMICOMPLETE = "elastic_semicomplete_ORDER_ONLY.tsv.gz"
FARMWORK = "farmwork_farmfresh_2024_25.tsv.gz"
MEATLABEL = "meatlabel_2025.tsv.gz"
HAR = "har_multirun_2015_22.tsv.gz"
MINISTRY = "ministry_bp3_2024.tsv.gz"
TASKTRAKKER = "tasktrakker_2025.tsv.gz"
GLOBALREPORTS = "globalreports.tsv.gz"
PFC = "pfc.tsv.gz"
NAMES = (SEMICOMPLETE, MINISTRY, TASKTRAKKER, GLOBALREPORTS, PFC, FARMWORK, MEATLABEL, HAR)


def folder() -> Path:
    """Beside the repository, where those who share them put them."""
    return Path(__file__).parents[3] / "shared" / "traces"
