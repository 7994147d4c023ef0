"""The peers of bench/run, one process each, so that user + system CPU time can be taken from outside.

    peers.py CLIENT QUESTION ENDPOINT SYMBOLS START END OUT
    CLIENT    alpaca-py (the vendor's client, pandas, DuckDB) | tuned (2 processes, isal, polars' own JSON reader: faster here than orjson and lists)
    QUESTION  bars (hive Parquet) | ticks (second bars) | quotes (tightest per second)

Each does what its users do; prints the number of vendor rows it went through. END is an exclusive RFC 3339 instant.
"""
import datetime
import os
import sys
import urllib.parse


def parse(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


# ---- the vendor's own client, as the Data Engine and the tick importers use it ----

def alpaca_py(question, endpoint, symbols, start, end, out):
    import duckdb
    import pandas as pd
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import StockBarsRequest, StockQuotesRequest, StockTradesRequest
    from alpaca.data.timeframe import TimeFrame

    client = StockHistoricalDataClient("key", "secret", url_override=endpoint)
    last = parse(end) - datetime.timedelta(microseconds=1)
    rows = 0
    for symbol in symbols:
        if question == "bars":
            frame = client.get_stock_bars(StockBarsRequest(
                symbol_or_symbols=symbol, timeframe=TimeFrame.Minute, start=parse(start), end=last, feed="sip")).df
            frame = frame.reset_index()
            frame["year"] = frame["timestamp"].dt.year
            frame["month"] = frame["timestamp"].dt.month
            duckdb.sql(f"COPY frame TO '{out}/equities_1min' (FORMAT parquet, COMPRESSION zstd, "
                       "PARTITION_BY (symbol, year, month), OVERWRITE_OR_IGNORE)")
        elif question == "ticks":
            frame = client.get_stock_trades(StockTradesRequest(
                symbol_or_symbols=symbol, start=parse(start), end=last, feed="sip")).df.reset_index()
            frame["second"] = frame["timestamp"].dt.floor("1s")
            frame["value"] = frame["price"] * frame["size"]
            bars = frame.groupby("second").agg(open=("price", "first"), high=("price", "max"), low=("price", "min"),
                                               close=("price", "last"), volume=("size", "sum"),
                                               trade_count=("price", "size"), value=("value", "sum")).reset_index()
            bars["vwap"] = bars.pop("value") / bars["volume"]
            bars.to_parquet(f"{out}/{symbol}.parquet", compression="zstd")
        else:
            frame = client.get_stock_quotes(StockQuotesRequest(
                symbol_or_symbols=symbol, start=parse(start), end=last, feed="sip")).df.reset_index()
            frame["second"] = frame["timestamp"].dt.floor("1s")
            frame["spread"] = frame["ask_price"] - frame["bid_price"]
            best = frame[(frame.bid_price > 0) & (frame.spread >= 0)]
            best = best.loc[best.groupby("second")["spread"].idxmin()]
            best.to_parquet(f"{out}/{symbol}.parquet", compression="zstd")
        rows += len(frame)
    return rows


# ---- what a careful Python programmer gets ----

def tuned_symbols(question, endpoint, symbols, start, end, out):
    import http.client

    import isal.igzip
    import polars as pl

    host = urllib.parse.urlsplit(endpoint)
    connection = http.client.HTTPConnection(host.hostname, host.port)
    wire = {"bars": "bars", "ticks": "trades", "quotes": "quotes"}[question]
    headers = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret", "Accept-Encoding": "gzip"}
    last = (parse(end) - datetime.timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    names = {"bars": ["t", "o", "h", "l", "c", "v", "n", "vw"], "trades": ["t", "p", "s"],
             "quotes": ["t", "bp", "bs", "bx", "ap", "as", "ax"]}[wire]
    types = {name: pl.String if name in ("t", "bx", "ax") else pl.Int64 if name in ("v", "n", "s", "bs", "as") else pl.Float64
             for name in names}
    rows = 0
    for symbol in symbols:
        query = {"start": start, "end": last, "limit": "10000", "feed": "sip"}
        if question == "bars":
            query["timeframe"] = "1Min"
        frames, token = [], None
        while True:
            if token:
                query["page_token"] = token
            connection.request("GET", f"/v2/stocks/{symbol}/{wire}?" + urllib.parse.urlencode(query), headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.getheader("Content-Encoding") == "gzip":
                body = isal.igzip.decompress(body)
            if answer.status != 200:
                raise SystemExit(f"{answer.status}: {body[:200]!r}")
            page = pl.read_json(body, schema={wire: pl.List(pl.Struct(types)), "next_page_token": pl.String})
            items = page.select(pl.col(wire).explode()).unnest(wire).drop_nulls("t")
            if len(items):
                frames.append(items)
                rows += len(items)
            token = page["next_page_token"][0]
            if not token:
                break
        if not frames:
            continue
        frame = pl.concat(frames).with_columns(pl.col("t").str.to_datetime(time_unit="ns", time_zone="UTC", strict=True))
        if question == "bars":
            months = frame.with_columns(y=pl.col("t").dt.year(), m=pl.col("t").dt.month()).partition_by(["y", "m"], as_dict=True)
            for (year, month), part in months.items():
                folder = f"{out}/equities_1min/symbol={symbol}/year={year}/month={month:02d}"
                os.makedirs(folder, exist_ok=True)
                part.drop("y", "m").write_parquet(f"{folder}/data.parquet", compression="zstd")
        elif question == "ticks":
            second = pl.col("t").dt.truncate("1s").alias("second")
            frame.group_by(second, maintain_order=True).agg(
                open=pl.col("p").first(), high=pl.col("p").max(), low=pl.col("p").min(), close=pl.col("p").last(),
                volume=pl.col("s").sum(), trade_count=pl.len(),
                vwap=(pl.col("p") * pl.col("s")).sum() / pl.col("s").sum()).write_parquet(f"{out}/{symbol}.parquet", compression="zstd")
        else:
            frame = frame.with_columns(second=pl.col("t").dt.truncate("1s"), spread=pl.col("ap") - pl.col("bp"))
            frame.filter((pl.col("bp") > 0) & (pl.col("spread") >= 0)).sort("second", "spread", maintain_order=True) \
                .unique("second", keep="first", maintain_order=True).write_parquet(f"{out}/{symbol}.parquet", compression="zstd")
    return rows


def tuned(question, endpoint, symbols, start, end, out):
    import concurrent.futures
    import multiprocessing

    os.environ["POLARS_MAX_THREADS"] = "1"
    halves = [symbols[0::2], symbols[1::2]]
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        return sum(pool.map(tuned_symbols, *zip(*[(question, endpoint, half, start, end, out) for half in halves if half])))


if __name__ == "__main__":
    client, question, endpoint, symbols, start, end, out = sys.argv[1:]
    work = {"alpaca-py": alpaca_py, "tuned": tuned}[client]
    print(work(question, endpoint, symbols.split(","), start, end, out))
