"""The page that people look at: one self-contained HTML file per run, and one that compares runs.

`icectl.report.panels` says what a task may show; `icectl.report.page` draws it from files alone.
"""
