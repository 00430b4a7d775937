"""The report of a dataset: one page of HTML that needs nothing else."""

from __future__ import annotations

from mnistseq_cli.inspection.report.page import make_page, write_report

__all__ = ["make_page", "write_report"]
