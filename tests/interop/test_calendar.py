"""Every session of 2000..2099 that the engine's calendar knows equals the one of exchange_calendars (XNYS)."""

import os
import subprocess

import exchange_calendars


def test_sessions_equal_exchange_calendars():
    program = os.path.join(os.environ["TICKLAKE_BUILD"], "tests", "unit.market.calendar")
    answer = subprocess.run([program], env={**os.environ, "TICKLAKE_CALENDAR_DUMP": "1"},
                            stdout=subprocess.PIPE, text=True, check=True)
    ours = answer.stdout.splitlines()

    calendar = exchange_calendars.get_calendar("XNYS", start="2000-01-01", end="2099-12-31")
    early = set(calendar.early_closes)
    form = "%Y-%m-%dT%H:%M:%SZ"
    theirs = [f"{day:%Y-%m-%d} {row.open.strftime(form)} {row.close.strftime(form)} {'early' if day in early else 'full'}"
              for day, row in calendar.schedule.iterrows()]

    assert len(theirs) > 25000
    assert sorted(set(ours) ^ set(theirs)) == []
    assert ours == theirs
