"""The blocks of docs/python.md run, one after the other, in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_blocks_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    printed = capsys.readouterr().out
    assert len(blocks) == 3 and "validation rows" in printed
    assert "{'ill': 32, 'well': 32} 24 synthetic" in printed
    assert "{'a': 30, 'b': 30}" in printed
    assert (tmp_path / "model" / "manifest.json").is_file()
