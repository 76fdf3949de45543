"""A process of its own that fills its memory with small objects and frees nearly all of them.

Prints, in bytes: RSS before, full, and freed; and what `MemoryWatch` then takes to be in use.
"""

from __future__ import annotations

from headstart.server.memory import MemoryWatch, trim, used_blocks, used_memory


def main() -> None:
    """Two million objects, of which one in a thousand stays."""
    watch = MemoryWatch(1 << 40)
    before = used_memory()
    held = [bytes(100) for _ in range(2_000_000)]
    full = used_memory()
    watch.look(full, used_blocks())
    kept = held[::1000]
    del held
    trim()
    freed = used_memory()
    watch.look(freed, used_blocks())
    print(before, full, freed, watch.taken, len(kept))


if __name__ == "__main__":
    main()
