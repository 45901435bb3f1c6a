"""How a command finds its server, what it says when it cannot, and the exit codes scripts rely on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.cli.stage import TOKEN, Stage, incident, run, status
from tests.support.certificates import Certificate
from tests.support.ports import free_port


def test_the_data_folder_leads_to_the_server_on_this_machine(stage: Stage, tmp_path: Path) -> None:
    """Its address and its token are all a command needs; --data and TOCSIN_DATA are the same."""
    stage.pages("GET /incidents", [incident()])
    data = stage.folder(tmp_path)
    assert [one["number"] for one in run("incidents", "list", "--json", "--data", str(data)).json] == [17]
    assert run("incidents", "list", "--json", TOCSIN_DATA=str(data)).code == 0
    assert stage.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"


def test_without_any_word_the_folder_is_here(stage: Stage, tmp_path: Path) -> None:
    """./tocsin-data is where `tocsin up` keeps its data when nobody says."""
    stage.pages("GET /incidents", [])
    stage.folder(tmp_path).rename(tmp_path / "tocsin-data")
    assert run("incidents", "list", cwd=tmp_path).out == "No incident is open.\n"


def test_an_option_counts_before_the_environment(stage: Stage, tmp_path: Path) -> None:
    """--data on the command line beats a TOCSIN_URL that leads nowhere, and the reverse."""
    stage.pages("GET /incidents", [])
    nowhere = f"http://127.0.0.1:{free_port()}"
    data = stage.folder(tmp_path)
    assert run("incidents", "list", "--data", str(data), TOCSIN_URL=nowhere, TOCSIN_TOKEN="x").code == 0
    assert run("incidents", "list", "--url", stage.url, TOCSIN_DATA=str(tmp_path / "no"), TOCSIN_TOKEN=TOKEN).code == 0


def test_a_token_of_ones_own_is_used_on_the_servers_machine_too(stage: Stage, tmp_path: Path) -> None:
    """Else whoever adds a telephone there adds it to the admin's methods. --data alone asks for the folder's token."""
    stage.pages("GET /incidents", [incident()])
    data = stage.folder(tmp_path)
    wrong = run("incidents", "list", TOCSIN_DATA=str(data), TOCSIN_TOKEN="garbage")
    assert (wrong.code, "does not accept the token (TOCSIN_TOKEN)" in wrong.err) == (4, True)
    assert stage.asked[-1].headers["authorization"] == "Bearer garbage"
    data.rename(tmp_path / "tocsin-data")
    assert run("incidents", "list", cwd=tmp_path, TOCSIN_TOKEN="a\nb").code == 4
    (tmp_path / "tocsin-data" / "token").unlink()
    done = run("incidents", "list", cwd=tmp_path, TOCSIN_TOKEN=TOKEN)
    assert (done.code, done.err) == (0, ""), "nobody else's token is needed"


def test_a_token_that_is_not_used_is_told(stage: Stage, tmp_path: Path) -> None:
    """--data is who the machine is."""
    stage.pages("GET /incidents", [incident()])
    data = stage.folder(tmp_path)
    done = run("incidents", "list", "--json", "--data", str(data), TOCSIN_TOKEN="garbage")
    assert (done.code, [one["number"] for one in done.json]) == (0, [17])
    assert "the one in TOCSIN_TOKEN is not used" in done.err
    assert run("incidents", "list", "--data", str(data), TOCSIN_TOKEN=" ").err == ""


def test_the_machines_token_never_goes_to_another_address(stage: Stage, tmp_path: Path) -> None:
    """An address alone has no token, whatever folder there is; both together name two servers and are refused."""
    data = stage.folder(tmp_path)
    alone = run("incidents", "list", "--url", stage.url, TOCSIN_DATA=str(data))
    assert alone.code == 4
    assert "TOCSIN_TOKEN" in alone.err
    assert "not both" in (both := run("incidents", "list", "--url", stage.url, "--data", str(data))).err
    assert both.code == 2
    assert stage.asked == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_token_others_can_read_is_refused_with_the_fix(stage: Stage, tmp_path: Path, mode: int) -> None:
    """The message says what to do about it."""
    data = stage.folder(tmp_path)
    (data / "token").chmod(mode)
    done = run("incidents", "list", "--data", str(data))
    assert done.code == 4
    assert "can be read by other users" in done.err
    assert f"chmod 600 {data / 'token'}" in done.err
    assert stage.asked == []


def test_a_token_that_is_a_link_is_not_followed(stage: Stage, tmp_path: Path) -> None:
    """A link could lead to a file whose mode says nothing about who put it there."""
    data = stage.folder(tmp_path)
    (data / "token").rename(tmp_path / "elsewhere")
    (data / "token").symlink_to(tmp_path / "elsewhere")
    assert run("incidents", "list", "--data", str(data)).code == 4


def test_each_way_of_not_running_is_said_as_it_is(stage: Stage, tmp_path: Path) -> None:
    """No folder, no address in it, nobody at the address: three sentences, one exit code."""
    missing = run("incidents", "list", "--data", str(tmp_path / "none"))
    assert (missing.code, missing.out) == (3, "")
    assert "There is no Tocsin data folder" in missing.err
    assert "tocsin up" in missing.err

    data = stage.folder(tmp_path)
    (data / "address").unlink()
    assert "No server runs on" in (stopped := run("incidents", "list", "--data", str(data))).err
    assert stopped.code == 3

    (data / "address").write_text(f"http://127.0.0.1:{free_port()}")
    crashed = run("incidents", "list", "--data", str(data))
    assert crashed.code == 3
    assert "nothing answers at" in crashed.err


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("tocsin.example.com", "not an address"),
        ("ftp://tocsin.example.com", "not an address"),
        ("http://x:99999", "not an address"),
        ("http://ops:secret@x", "must not hold a password"),
        ("http://x/?a=b", "leave out"),
    ],
)
def test_what_is_no_address_is_a_mistake_in_the_command(url: str, word: str) -> None:
    """Exit code 2, and nothing of a secret in it is repeated."""
    done = run("alerts", "--url", url, TOCSIN_TOKEN=TOKEN)
    assert done.code == 2
    assert word in done.err
    assert "secret" not in done.err


def test_a_wrong_token_is_exit_code_4(stage: Stage) -> None:
    """Not signed in, and not allowed, are one code; the server's sentence is kept."""
    done = run("alerts", TOCSIN_URL=stage.url, TOCSIN_TOKEN="wrong")
    assert done.code == 4
    assert "does not accept the token" in done.err
    stage.problem("GET /alerts", 403, "forbidden", "this needs the role admin; ana is viewer")
    denied = stage.run("alerts")
    assert (denied.code, denied.err) == (4, "Error: This needs the role admin; ana is viewer.\n")


def test_not_found_and_refused_are_exit_code_1(stage: Stage) -> None:
    """Exit code 1, with the field by name."""
    stage.problem("GET /incidents/9", 404, "not_found", "there is no incident #9")
    assert stage.run("incidents", "show", "9")[::2] == (1, "Error: There is no incident #9.\n")
    stage.problem("POST /keys", 400, "invalid", "no such thing", field="heartbeat")
    refused = stage.run("key", "create", "--source", "events", "--service", "nope")
    assert refused[::2] == (1, "Error: No such thing (heartbeat).\n")
    errors = [{"field": "labels.x", "message": "must be a text"}]
    stage.problem("POST /services/inbox/events", 400, "invalid", "nothing was taken", errors=errors)
    assert stage.run("send").err == "Error: Nothing was taken (labels.x: must be a text).\n"


def test_a_server_that_is_not_ready_is_exit_code_3(stage: Stage) -> None:
    """Scripts may try again."""
    stage.problem("GET /alerts", 503, "unavailable", "the core does not answer")
    assert stage.run("alerts")[::2] == (3, "Error: The core does not answer.\n")


def test_a_server_that_will_be_ready_in_a_moment_is_waited_for(stage: Stage) -> None:
    """As right after its start: Retry-After says when to come back, and the idempotency key stays the same."""
    times = iter([503, 503, 200])
    stage.headers = {"Retry-After": "0"}
    stage.answers["POST /incidents/17/acknowledge"] = lambda asked: (next(times), incident(17))
    assert stage.run("incidents", "ack", "17").code == 0
    assert len({asked.headers["idempotency-key"] for asked in stage.asked}) == 1
    assert len(stage.asked) == 3


def test_a_server_that_asks_to_come_back_much_later_is_not_waited_for(stage: Stage) -> None:
    """A person waits five seconds at most; whoever sheds load is asked once."""
    stage.headers = {"Retry-After": "60"}
    stage.problem("GET /alerts", 503, "unavailable", "too many reads are waiting")
    assert stage.run("alerts").code == 3
    assert len(stage.asked) == 1


def test_another_programs_answer_is_not_taken_for_tocsins(stage: Stage) -> None:
    """A web page at that address, or JSON of another shape, is said to be not Tocsin."""
    stage.content_type = "text/html"
    stage.answers["GET /alerts"] = (200, b"<h1>Welcome to nginx</h1>")
    assert "not Tocsin" in (page := stage.run("alerts")).err
    assert page.code == 3
    stage.content_type = "application/json"
    stage.answers["GET /alerts"] = (200, {"hello": "world"})
    assert stage.run("alerts").code == 3
    stage.answers["GET /alerts"] = (302, b"")
    assert "elsewhere" in stage.run("alerts").err


def test_a_connection_that_breaks_is_tried_once_more_with_the_same_idempotency_key(stage: Stage) -> None:
    """So that a write whose answer was lost is not done twice."""
    times = iter([None, (200, incident(17, state="acknowledged", acknowledged_by="person:ana"))])
    stage.answers["POST /incidents/17/acknowledge"] = lambda asked: next(times)
    assert stage.run("incidents", "ack", "17").code == 0
    first, second = stage.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert len(first.headers["idempotency-key"]) >= 32


def test_a_connection_that_keeps_breaking_is_given_up(stage: Stage) -> None:
    """Twice, not forever."""
    stage.answers["GET /alerts"] = lambda asked: None
    assert stage.run("alerts").code == 3
    assert len(stage.asked) == 2


def test_two_writes_have_two_idempotency_keys(stage: Stage) -> None:
    """Acknowledging twice is two wishes."""
    stage.answers["POST /incidents/17/acknowledge"] = (200, incident(17))
    stage.run("incidents", "ack", "17", "17")
    first, second = stage.asked
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_nobody_listening_at_an_address_is_said_at_once() -> None:
    """No wait, no trace of Python."""
    done = run("alerts", TOCSIN_URL=f"http://127.0.0.1:{free_port()}", TOCSIN_TOKEN=TOKEN)
    assert done.code == 3
    assert "Nothing answers at" in done.err
    assert "Traceback" not in done.err


def test_a_listener_that_says_nothing_http_is_no_server() -> None:
    """Bytes that are no HTTP answer end in exit code 3."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pid = os.fork()
        if pid == 0:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.close()
            os._exit(0)
        done = run("alerts", TOCSIN_URL=f"http://127.0.0.1:{listener.getsockname()[1]}", TOCSIN_TOKEN=TOKEN)
        os.waitpid(pid, 0)
    assert done.code == 3


def test_tls_is_verified(certificate: Certificate) -> None:
    """An unknown authority is refused, one named in SSL_CERT_FILE is taken."""
    stage = Stage(certificate)
    stage.answers["GET /status"] = (200, status())
    try:
        refused = stage.run("status")
        assert refused.code == 3
        assert "SSL_CERT_FILE" in refused.err
        assert stage.asked == []
        assert stage.run("status", SSL_CERT_FILE=str(certificate.authority)).code == 0
    finally:
        stage.close()


def test_on_the_servers_machine_its_own_certificate_is_trusted_and_no_other(
    certificate: Certificate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """`tocsin up` leaves its certificate beside its address: the public name in it need not be loopback's."""
    from tests.support.certificates import make_certificate

    stage = Stage(certificate)
    stage.answers["GET /status"] = (200, status())
    try:
        data = stage.folder(tmp_path)
        (data / "certificate.pem").write_bytes(certificate.cert.read_bytes())
        assert run("status", "--data", str(data)).code == 0
        other = make_certificate(tmp_path_factory.mktemp("other"))
        (data / "certificate.pem").write_bytes(other.cert.read_bytes())
        assert run("status", "--data", str(data)).code == 3
    finally:
        stage.close()


@pytest.mark.parametrize("arguments", [["silence"], ["nonsense"], ["alerts", "--nope"], ["silence", "add", "x"]])
def test_what_cannot_be_understood_is_exit_code_2(arguments: list[str]) -> None:
    """And it goes to stderr."""
    done = run(*arguments, TOCSIN_URL="http://127.0.0.1:9", TOCSIN_TOKEN=TOKEN)
    assert (done.code, done.out) == (2, "")
    assert done.err
