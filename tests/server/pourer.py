"""Pours documents into a database until its standard input ends; prints each id once committed.

python -m tests.server.pourer
"""

import sys
import threading

import django


def main() -> None:
    """Until told to stop."""
    django.setup()
    from server.care.models import Person
    from server.devices.models import Device
    from server.session_data.accept import accept_session
    from tests.server.conftest import golden

    person = Person.objects.create_user("anna", password=None, timezone="Europe/Berlin")
    device = Device.objects.create(person=person, label="Kitchen")
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    while not stop.is_set():
        document = golden("final")
        assert accept_session(device, document).outcome == "stored"
        sys.stdout.write(f"{document['session_id']}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
