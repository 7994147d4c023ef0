"""The expected rows of a lake, from the vendor's JSON and the rules on paper (facts/providers.md 2.8), with whole numbers,
fractions and brute force. Written apart from the engine: it shares no code with it and no way of doing things."""
import datetime
import json
import re
import urllib.parse
import urllib.request
import zoneinfo
from fractions import Fraction

NEW_YORK = zoneinfo.ZoneInfo("America/New_York")
UTC = datetime.timezone.utc
SECOND = 1_000_000_000
TIMEFRAMES = {"1m": "1Min", "5m": "5Min", "15m": "15Min", "30m": "30Min", "1h": "1Hour", "1d": "1Day", "1w": "1Week", "1mo": "1Month"}
MINUTES = {"1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60}


# ---- time ----

def ns_of(text):
    """RFC 3339 in UTC with up to nine fraction digits, as epoch nanoseconds."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", text)
    whole = datetime.datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(whole.timestamp()) * SECOND + int((match[2] or "").ljust(9, "0"))


def text_of(ns):
    whole = datetime.datetime.fromtimestamp(ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{ns % SECOND:09d}Z"


def midnight(day):
    """Midnight in New York, where `day` (YYYY-MM-DD) begins."""
    return int(datetime.datetime.fromisoformat(day).replace(tzinfo=NEW_YORK).timestamp()) * SECOND


def next_day(day):
    return (datetime.date.fromisoformat(day) + datetime.timedelta(1)).isoformat()


def span(start, end):
    """START END of the command line as [from, to) in ns: days with END included, or instants."""
    if len(start) == 10:
        return midnight(start), midnight(next_day(end))
    return ns_of(start), ns_of(end)


# ---- the vendor, asked over HTTP and read to the last token ----

def ask(sim, what, symbols, start_ns, end_ns, headers=None, limit=10000, **more):
    """Rows of [start, end) by symbol, as the vendor's JSON has them."""
    parameters = {"symbols": ",".join(symbols), "start": text_of(start_ns), "end": text_of(end_ns - 1), "limit": limit, "feed": "sip", **more}
    token, rows = None, {}
    while True:
        query = urllib.parse.urlencode({**parameters, **({"page_token": token} if token else {})})
        request = urllib.request.Request(f"{sim.url}/v2/stocks/{what}?{query}",
                                         headers={"APCA-API-KEY-ID": "truth", "APCA-API-SECRET-KEY": "truth", **(headers or {})})
        with urllib.request.urlopen(request, timeout=60) as answer:
            page = json.load(answer)
        for symbol, list_ in (page[what] or {}).items():
            rows.setdefault(symbol, []).extend(list_)
        token = page["next_page_token"]
        if not token:
            return rows


def bars(sim, kind, symbols, start, end, **more):
    """What the lake must hold of the vendor's bars."""
    got = ask(sim, "bars", symbols, *span(start, end), timeframe=TIMEFRAMES[kind], **more)
    return [bar_row(s, b) for s in sorted(got) for b in got[s]]


def bar_row(symbol, b):
    return {"symbol": symbol, "timestamp": ns_of(b["t"]) // 1000, "open": float(b["o"]), "high": float(b["h"]), "low": float(b["l"]),
            "close": float(b["c"]), "volume": b["v"], "trade_count": b.get("n"), "vwap": float(b["vw"]) if b.get("vw") is not None else None}


def trades(sim, symbols, start, end, **more):
    got = ask(sim, "trades", symbols, *span(start, end), **more)
    return [trade_row(s, t) for s in sorted(got) for t in got[s]]


def trade_row(symbol, t):
    return {"symbol": symbol, "timestamp": ns_of(t["t"]) // 1000, "timestamp_ns": ns_of(t["t"]), "price": float(t["p"]), "size": t["s"],
            "exchange": t["x"], "conditions": t["c"], "trade_id": t["i"], "tape": t["z"], "update": t.get("u")}


def quotes(sim, symbols, start, end, **more):
    got = ask(sim, "quotes", symbols, *span(start, end), **more)
    return [{"symbol": s, "timestamp": ns_of(q["t"]) // 1000, "timestamp_ns": ns_of(q["t"]), "bid_price": float(q["bp"]), "bid_size": q["bs"],
             "bid_exchange": q["bx"], "ask_price": float(q["ap"]), "ask_size": q["as"], "ask_exchange": q["ax"], "conditions": q["c"],
             "tape": q.get("z")} for s in sorted(got) for q in got[s]]


# ---- ticks to bars ----

VOLUME_ONLY, NOTHING = set("ICNRHVW7U"), set("MQ")


def may(trade, daily):
    """(sets open and close, sets high and low, counts for volume, open/close only as the first) of one trade."""
    price = extreme = volume = True
    first_only = False
    for c in trade["c"]:
        if c in VOLUME_ONLY or (c == "B" and trade["z"] in "AB"):
            price = extreme = False
        elif c in NOTHING:
            price = extreme = volume = False
        elif c == "9":
            volume = False
            if not daily:
                price = extreme = False
        elif c == "T" and daily:
            price = extreme = False
        elif c in "PZG4":
            if daily:
                first_only = True
            else:
                price = extreme = False
    return price, extreme, volume, first_only


def one_bar(list_, conditions="sip", daily=False):
    """The bar of trades in order, or None."""
    prices, closes, extremes, shares, count, weighted, weight = [], [], [], 0, 0, Fraction(0), 0
    for t in list_:
        if t.get("u") in ("canceled", "incorrect"):
            continue
        price, extreme, volume, first_only = (True, True, True, False) if conditions == "all" else may(t, daily)
        exact = Fraction(str(t["p"]))
        if price and not (first_only and prices):
            prices.append(t["p"])
        if extreme:
            extremes.append(t["p"])
        if volume:
            shares += t["s"]
            count += 1
        if extreme and volume:
            weighted += exact * t["s"]
            weight += t["s"]
    if not prices or not extremes or not shares or not weight:
        return None
    vwap = (weighted / weight * 10**6 + Fraction(1, 2)) // 1
    if not vwap:
        return None
    return {"open": float(prices[0]), "high": float(max(extremes)), "low": float(min(extremes)), "close": float(prices[-1]), "volume": shares,
            "trade_count": count, "vwap": float(Fraction(int(vwap), 10**6)), "exact": (weighted, weight)}


def window_of(ns, kind):
    """Start of the bar an instant falls into."""
    if kind == "1s":
        return ns // SECOND * SECOND
    day = datetime.datetime.fromtimestamp(ns // SECOND, NEW_YORK)
    if kind == "1d":
        return midnight(day.date().isoformat())
    local = day.hour * 3600 + day.minute * 60 + day.second  # the session holds no change of clocks
    size = MINUTES[kind] * 60
    return (ns // SECOND - local % size) * SECOND


def join(list_):
    """Bars of the parts, in order, as one."""
    weighted, weight = sum(b["exact"][0] for b in list_), sum(b["exact"][1] for b in list_)
    vwap = (weighted / weight * 10**6 + Fraction(1, 2)) // 1
    return {"open": list_[0]["open"], "high": max(b["high"] for b in list_), "low": min(b["low"] for b in list_), "close": list_[-1]["close"],
            "volume": sum(b["volume"] for b in list_), "trade_count": sum(b["trade_count"] for b in list_),
            "vwap": float(Fraction(int(vwap), 10**6))}


def grouped(rows, key):
    groups = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def bars_of_ticks(sim, kind, symbols, start, end, conditions="sip", **more):
    """Bars of KIND made from the vendor's trades. Bars of several minutes come from minute bars."""
    got, out = ask(sim, "trades", symbols, *span(start, end), **more), []
    for symbol in sorted(got):
        base = kind if kind in ("1s", "1d") else "1m"
        made = []
        for at, list_ in grouped(got[symbol], lambda t: window_of(ns_of(t["t"]), base)).items():
            bar = one_bar(list_, conditions, daily=base == "1d")
            if bar:
                made.append((at, bar))
        for at, parts in grouped(made, lambda b: window_of(b[0], kind)).items():
            out.append({"symbol": symbol, "timestamp": at // 1000, **join([b for _, b in parts])})
    return out


# ---- quotes to one per second ----

def tightest(sim, symbols, start, end, **more):
    """Per second: of the two-sided quotes that do not cross the one with the least spread, the latest of equals; where there is
    none the last quote, without a spread."""
    got, out = ask(sim, "quotes", symbols, *span(start, end), **more), []
    for symbol in sorted(got):
        for second, list_ in grouped(got[symbol], lambda q: ns_of(q["t"]) // SECOND).items():
            best, spread = list_[-1], None
            for q in list_:
                bid, ask_ = Fraction(str(q["bp"])), Fraction(str(q["ap"]))
                if bid > 0 and ask_ > 0 and ask_ >= bid and (spread is None or ask_ - bid <= spread):
                    best, spread = q, ask_ - bid
            out.append({"symbol": symbol, "timestamp": second * 1_000_000, "bid_price": float(best["bp"]), "bid_size": best["bs"],
                        "bid_exchange": best["bx"], "ask_price": float(best["ap"]), "ask_size": best["as"], "ask_exchange": best["ax"],
                        "spread": None if spread is None else float(spread), "quote_count": len(list_)})
    return out
