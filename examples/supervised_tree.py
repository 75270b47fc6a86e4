"""A supervised tree: a sensor that breaks now and then, and a station that keeps it going.

    python examples/supervised_tree.py

The sensor's faults are mended by a restart; a calibration error by its own directive; a broken
bus fails the whole station, which is made anew with its children.
"""

from __future__ import annotations

from actorkit import (
    Actor,
    ActorFailed,
    ActorRef,
    ActorRestarted,
    ActorStopped,
    ActorSystem,
    Backoff,
    Directive,
    OneForOne,
    Reason,
)


class Glitch(Exception):
    """Gone after a restart."""


class OutOfRange(Exception):
    """One bad value: the sensor itself is sound."""


class BusBroken(Exception):
    """No sensor of the station can go on."""


class Sensor(Actor):
    def __init__(self) -> None:
        self.readings = 0

    def receive(self, message: float | Exception) -> int:
        if isinstance(message, Exception):
            raise message
        self.readings += 1
        return self.readings


def by_kind(error: BaseException) -> Directive:
    match error:
        case OutOfRange():
            return Directive.RESUME
        case BusBroken():
            return Directive.ESCALATE
        case _:
            return Directive.RESTART


class Station(Actor):
    supervision = OneForOne(
        intensity=3, period=5.0, backoff=Backoff(minimum=0.01, maximum=0.1), decide=by_kind
    )

    def __init__(self, sensors: int) -> None:
        self.sensors = [self.spawn(Sensor, name=f"sensor-{n}") for n in range(sensors)]

    def on_stop(self, reason: Reason) -> None:
        self.log.info("station goes down", reason=reason.value)

    def receive(self, message: str) -> list[ActorRef[Sensor]]:
        return self.sensors


def show(event: ActorFailed | ActorRestarted | ActorStopped) -> None:
    details = f": {event.error!r}" if event.error is not None else ""
    print(f"  {type(event).__name__} {event.ref.path}{details}" if event.ref else "")


def main() -> None:
    with ActorSystem("plant") as system:
        system.events.subscribe(ActorFailed | ActorRestarted | ActorStopped, show)
        station = system.spawn(Station, 2, name="station")
        first = station.ask("sensors")[0]

        print("readings:", first.ask(20.5), first.ask(20.7))
        for error in (OutOfRange("999 degrees"), Glitch("no signal"), BusBroken("short circuit")):
            print(f"{error!r}:")
            first.tell(error)
            first = station.ask("sensors")[0]
            print("  next reading is number", first.ask(20.6))
        print("the tree now:")
        for info in system.tree():
            print(f"  {info.path:20} {info.cls.__name__:8} restarts={info.restarts}")
        print("shutting down:")


if __name__ == "__main__":
    main()
