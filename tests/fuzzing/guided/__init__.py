"""Coverage-guided fuzzing of what reads a stranger's bytes, with atheris.

    targets.py     what is fuzzed; each says which exceptions it may raise
    engine.py      one target under atheris, in a process of its own
    __main__.py    `python -m tests.fuzzing.guided`: the targets in turn, for a time
    corpus/        seeds, a folder a target; what a run adds stays in `.fuzz/`

`tests/fuzzing/test_guided_targets.py` runs every seed through its target without atheris.
"""
