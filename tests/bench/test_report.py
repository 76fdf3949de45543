"""Results -> Markdown."""

from __future__ import annotations

from dataclasses import replace

from bench.report import markdown
from bench.rounds import Result
from bench.sample import Sample
from bench.scenarios import SCENARIOS, Kind, Part, Scenario
from tests.bench.made import MACHINE, result, samples


def scenario(part: Part, kind: Kind) -> Scenario:
    return next(s for s in SCENARIOS if s.part is part and s.kind is kind)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def row(text: str, section: str, number: int = 2) -> list[str]:
    """A row of a section's table; the first two are its head and the rule."""
    lines = text.partition(f"## {section}\n\n")[2].splitlines()
    return cells(lines[number])


def test_rates_have_a_row_per_scenario_and_a_column_per_server() -> None:
    text = markdown(MACHINE, [result()])

    assert row(text, "Answers and pushes a second") == [
        "bare, 10 x 100",
        "200 requests/s",
        "1.00 (0.50..2.00)",
        "4.00 (2.00..6.00) [1]",
        "failed [2]",
        "- [3]",
    ]
    lines = text.partition("## Answers and pushes a second\n\n")[2].splitlines()
    assert len({len(line) for line in lines[:3]}) == 1


def test_processor_time_of_each_answer_has_a_table_of_its_own() -> None:
    text = markdown(MACHINE, [result()])

    assert row(text, "Processor time") == [
        "bare, 10 x 100", "20.0 µs", "20.0 µs", "20.0 µs", "failed", "-",
    ]  # fmt: skip


def test_errors_failures_and_what_is_missing_are_told_below() -> None:
    text = markdown(MACHINE, [result()])

    assert "1. granian, bare: 6 errors beside 150 successes\n" in text
    assert "2. uvicorn, bare: failed: ended with status 1\n" in text
    assert "3. hypercorn, bare: no Server Push\n" in text


def test_headstart_failing_is_shown_as_well() -> None:
    text = markdown(MACHINE, [Result(SCENARIOS[0], failures={"headstart": "did not listen"})])

    assert "failed [1]" in text
    assert "1. headstart, bare: failed: did not listen" in text


def latency(late: float) -> Result:
    one = Sample(1234.0, 100, 0, 0, p50=0.001, p99=0.01, late=late)
    return Result(scenario(Part.SERVERS, Kind.LATENCY), {"headstart": [one]})


def test_times_to_answer_stand_beside_the_load() -> None:
    text = markdown(MACHINE, [latency(0.0001)])

    assert row(text, "Time to answer") == ["bare", "1.00 / 10.00 ms at 1,234"]


def test_client_that_was_late_itself_is_told() -> None:
    assert "the client itself was late, 5.00 of 10.00 ms" in markdown(MACHINE, [latency(0.005)])


def test_memory_is_told_for_one_connection() -> None:
    one = Sample(0.0, 800, 0, 0, memory=2048.0)
    found = Result(scenario(Part.SERVERS, Kind.MEMORY), {"headstart": [one]})

    assert row(markdown(MACHINE, [found]), "Memory of an idle connection") == [
        "cleartext",
        "2.0 KiB",
    ]


def client(kind: Kind, name: str, sample: Sample) -> str:
    return markdown(MACHINE, [Result(scenario(Part.CLIENTS, kind), {name: [sample]})])


def test_clients_are_told_with_their_processor_time_or_memory() -> None:
    gets = client(Kind.GETS, "httpx", Sample(500.0, 10, 0, 0, processor=0.01))
    download = client(Kind.DOWNLOAD, "h2c", Sample(2e6, 1, 0, 0, memory=3 * 1024**2))
    start = client(Kind.START, "python -c pass", Sample(50.0, 1, 0, 0, p50=0.02))

    assert row(gets, "Clients: requests a second")[1:] == ["500/s, 1000 µs"]
    assert row(download, "Clients: a download")[1:] == ["2 MB/s, 3 MiB"]
    assert row(start, "Start of a process")[1:] == ["20.0 ms"]


def test_memory_that_is_not_known_is_not_told() -> None:
    download = client(Kind.DOWNLOAD, "curl", Sample(2e6, 1, 0, 0))

    assert row(download, "Clients: a download")[1:] == ["2 MB/s"]


def test_learning_and_page_have_their_own_tables() -> None:
    sides = {"headstart": samples(100), "with learning": samples(90)}
    learning = Result(scenario(Part.LEARNING, Kind.REQUESTS), sides)
    page = Result(scenario(Part.PAGE, Kind.LOAD), failures={"push": "the server hung up"})

    text = markdown(MACHINE, [learning, page])

    assert "0.90 (0.90..0.90)" in text
    assert "Page loads failed: the server hung up" in text
    assert "## Answers and pushes" not in text


def test_machine_and_time_are_described() -> None:
    found = replace(result(), measured="2026-01-01, commit abc")

    text = markdown(MACHINE, [found])

    assert "- A processor, 2 cores, 4 GiB; Linux" in text
    assert "- 2026-01-01, commit abc" in text


def test_proxies_have_a_table_of_processor_time_and_of_times_at_rest() -> None:
    load, rest = (scenario(Part.PROXY, kind) for kind in (Kind.REQUESTS, Kind.REST))
    slow = Sample(1.0, 1, 0, 0, processor=1e-3, p50=2e-4, p99=5e-4)
    found = [
        Result(load, {"headstart": samples(100), "nginx": samples(200)}),
        Result(rest, {"headstart": [slow], "upstream": [slow]}, failures={"nginx": "gone"}),
    ]

    text = markdown(MACHINE, found)

    assert row(text, "Reverse proxies", 0) == ["", "headstart", "nginx", "upstream"]
    assert row(text, "Reverse proxies", 2) == [load.title, "20.0 µs", "20.0 µs", "-"]
    assert row(text, "Reverse proxies", 3)[1:] == [
        "0.20 / 0.50 ms", "failed [1]", "0.20 / 0.50 ms",
    ]  # fmt: skip
    assert "Answers and pushes" not in text


def test_load_generator_http1_links_and_shared_cores_have_tables_of_their_own() -> None:
    busy = [replace(sample, generator=0.5) for sample in samples(100)]
    results = [
        Result(scenario(part, kind), samples={"headstart": busy, "nghttpd": busy})
        for part, kind in (
            (Part.SERVERS, Kind.REQUESTS),
            (Part.WORKERS, Kind.REQUESTS),
            (Part.HTTP1, Kind.REQUESTS),
            (Part.LINKS, Kind.LINK),
        )
    ]
    results[-1].samples = {"headstart": [Sample(6_250_000.0, 1, 0, 1)], "nghttpd": []}

    text = markdown(MACHINE, results)

    assert row(text, "Load generator")[1:] == ["50%", "50%"]
    assert row(text, "Without a core of one's own")[1] == "100 requests/s"
    assert row(text, "HTTP/1.1")[1] == "100 requests/s"
    assert row(text, "Long links")[1:] == ["6.2 MB/s, 0.50", "-"]
