"""Hands a stage's command to the stage server and waits for its end, as if it ran here.

    python -I -S stage_client.py codsa-fit --data …

Only the standard library, and little of it: this starts once for every job. Without an answer from the server that
CODSA_STAGES names, the command runs in this process.
"""

import json
import os
import signal
import socket
import sys
import time

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
STARTED = b"+"
PATIENCE_SECONDS = 0.5
"""A signal to the whole group has reached the stage, too; it is passed on to a stage that lives on after this."""


def connected() -> socket.socket | None:
    """Return a connection to the server; None where there is none."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.environ["CODSA_STAGES"])
    except (OSError, KeyError):
        return None
    return connection


def request(arguments: list[str]) -> bytes:
    """Return what the server needs, with its length in front: the arguments, the folder and the environment."""
    content = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "big") + text


def answer(connection: socket.socket, length: int, signals: list[int]) -> bytes:
    """Return what the server says, passing on signals until then; less of it where the server ends."""
    connection.settimeout(0.1)
    text, due = b"", 0.0
    while len(text) < length:
        try:
            received = connection.recv(length - len(text))
        except TimeoutError:
            due = due or (time.monotonic() + PATIENCE_SECONDS if signals else 0.0)
            if due and time.monotonic() >= due:
                if length == 1:  # no stage has started
                    sys.exit(128 + signals[0])
                connection.sendall(bytes([signals.pop()]))
                signals.clear()
                due = 0.0
            continue
        except OSError:
            break
        if not received:
            break
        text += received
    return text


def main() -> int:
    """Run one command."""
    arguments, signals = sys.argv[1:], []
    connection = connected()
    for number in PASSED_ON:
        signal.signal(number, lambda received, frame: signals.append(received))
    if connection is None or not started(connection, arguments, signals):
        for number in PASSED_ON:
            signal.signal(number, signal.SIG_DFL)
        os.execvp(arguments[0], arguments)
    code = answer(connection, 4, signals)
    return int.from_bytes(code, "big") if len(code) == 4 else 1  # the server was killed, and the stage with it


def started(connection: socket.socket, arguments: list[str], signals: list[int]) -> bool:
    """Ask for a command; say whether the server has started it, and end here on a signal before that."""
    message = request(arguments)
    try:
        socket.send_fds(connection, [message[:8]], [0, 1, 2])
        connection.sendall(message[8:])
    except OSError:
        return False
    return answer(connection, 1, signals) == STARTED


if __name__ == "__main__":
    sys.exit(main())
