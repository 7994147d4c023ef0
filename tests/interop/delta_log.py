"""A Delta table read the plain way: the log replayed in a page of Python, rows by pyarrow from the files it names. Another
reading of the protocol than the engine's and than delta-rs's, and the judge of what is in the log: `check` fails on what the
protocol forbids and no reader notices, and on statistics that the rows of the file do not bear out."""
import datetime
import decimal
import io
import json
import re
import urllib.parse

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

WORDS = {"byte": pa.int8(), "short": pa.int16(), "integer": pa.int32(), "long": pa.int64(), "float": pa.float32(), "double": pa.float64(), "string": pa.string(),
         "binary": pa.binary(), "boolean": pa.bool_(), "date": pa.date32(), "timestamp": pa.timestamp("us", "UTC"), "timestamp_ntz": pa.timestamp("us")}


def arrow_type(word):
    if isinstance(word, dict):
        assert word["type"] == "array" and isinstance(word["elementType"], str), word
        return pa.list_(arrow_type(word["elementType"]))
    if word.startswith("decimal("):
        return pa.decimal128(*map(int, word[8:-1].split(",")))
    return WORDS[word]


def read(fs, path):
    with fs.open_input_stream(path) as stream:
        return stream.read()


def parse_partition(text, type_):
    """A partition value's text as the value of its column; "" and null are NULL."""
    if text is None or text == "":
        return None
    if pa.types.is_timestamp(type_):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if pa.types.is_date(type_):
        return datetime.date.fromisoformat(text)
    if pa.types.is_boolean(type_):
        return {"true": True, "false": False}[text]
    if pa.types.is_integer(type_):
        return int(text)
    if pa.types.is_floating(type_):
        return float(text)
    if pa.types.is_decimal(type_):
        return decimal.Decimal(text)
    return text


class Snapshot:
    def __init__(self):
        self.protocol = self.metadata = None
        self.adds, self.tombstones, self.txns = {}, {}, {}

    @property
    def fields(self):
        return json.loads(self.metadata["schemaString"])["fields"]

    @property
    def schema(self):
        return pa.schema([pa.field(f["name"], arrow_type(f["type"])) for f in self.fields])

    def apply(self, action, where):
        (kind, body), = ((k, v) for k, v in action.items() if v is not None)
        if kind == "protocol":
            self.protocol = body
        elif kind == "metaData":
            assert self.metadata is None or self.metadata["id"] == body["id"], f"{where}: the table's id changed"
            self.metadata = body
        elif kind == "add":
            self.tombstones.pop(body["path"], None)
            self.adds[body["path"]] = body
        elif kind == "remove":
            self.adds.pop(body["path"], None)
            self.tombstones[body["path"]] = body
        elif kind == "txn":
            self.txns[body["appId"]] = body["version"]
        else:
            assert kind in ("commitInfo", "domainMetadata", "cdc"), f"{where}: an action {kind}"


class DeltaLog:
    def __init__(self, fs, base):
        self.fs, self.base = fs, base

    def log_names(self):
        found = self.fs.get_file_info(pyarrow.fs.FileSelector(f"{self.base}/_delta_log", allow_not_found=True))
        return sorted(f.base_name for f in found if f.type == pyarrow.fs.FileType.File)

    def versions(self):
        return sorted(int(n[:20]) for n in self.log_names() if re.fullmatch(r"\d{20}\.json", n))

    def newest(self):
        return self.versions()[-1]

    def commit(self, version):
        lines = read(self.fs, f"{self.base}/_delta_log/{version:020d}.json").decode().splitlines()
        return [json.loads(line) for line in lines if line.strip()]

    def checkpoint(self, version):
        """The actions of a checkpoint of one file, as a commit would state them."""
        table = pq.read_table(io.BytesIO(read(self.fs, f"{self.base}/_delta_log/{version:020d}.checkpoint.parquet")))
        out = []
        for row in table.to_pylist():
            (kind, body), = ((k, v) for k, v in row.items() if v is not None)
            body = {k: dict(v) if isinstance(v, list) and k in ("partitionValues", "tags") else v for k, v in body.items()}
            if kind == "metaData":
                body["configuration"] = dict(body.get("configuration") or [])
            out.append({kind: body})
        return out

    def checkpoints(self):
        return sorted(int(n[:20]) for n in self.log_names() if re.fullmatch(r"\d{20}\.checkpoint\.parquet", n))

    def snapshot(self, version=None, from_checkpoint=False):
        """Replays from version 0, or from the newest checkpoint when the beginning was cleaned up (or on request)."""
        versions = self.versions()
        version = versions[-1] if version is None else version
        snapshot, first = Snapshot(), 0
        if versions[0] != 0 or from_checkpoint:
            first = max(v for v in self.checkpoints() if v <= version)
            for action in self.checkpoint(first):
                snapshot.apply(action, f"checkpoint {first}")
            first += 1
        for v in range(first, version + 1):
            for action in self.commit(v):
                snapshot.apply(action, f"version {v}")
        return snapshot

    def disk_path(self, add):
        path = urllib.parse.unquote(add["path"])
        return path if path.startswith("/") else f"{self.base}/{path}"

    def file_rows(self, snapshot, add):
        """One data file as an Arrow table with the columns of the schema."""
        schema, data = snapshot.schema, pq.ParquetFile(io.BytesIO(read(self.fs, self.disk_path(add)))).read()
        partition = snapshot.metadata["partitionColumns"]
        columns = []
        for field in schema:
            if field.name in partition:
                value = parse_partition(add["partitionValues"][field.name], field.type)
                columns.append(pa.array([value] * data.num_rows, field.type))
            elif field.name in data.column_names:
                columns.append(data.column(field.name).cast(field.type))
            else:
                columns.append(pa.nulls(data.num_rows, field.type))
        return pa.table(columns, schema=schema), data

    def rows(self, version=None):
        snapshot = self.snapshot(version)
        tables = [self.file_rows(snapshot, add)[0] for add in snapshot.adds.values()]
        return pa.concat_tables(tables) if tables else snapshot.schema.empty_table()

    # ---- the lint ----

    def check(self, versions=None):
        """Everything in the log is as the protocol demands; the statistics of every live file hold."""
        have = self.versions()
        assert have == list(range(have[0], have[-1] + 1)), f"versions with gaps: {have}"
        # A put that did not end leaves a file aside (.NAME.tmp), which no reader takes for anything; vacuum's business.
        strays = [n for n in self.log_names() if not re.fullmatch(r"\d{20}\.(json|checkpoint\.parquet)|_last_checkpoint|\..*\.tmp", n)]
        assert not strays, f"files in _delta_log nobody knows: {strays}"
        live = None
        for v in have if have[0] == 0 else []:
            actions = self.commit(v)
            assert "commitInfo" in actions[0], f"version {v} does not begin with commitInfo"
            assert sum("commitInfo" in a for a in actions) == 1 and sum("metaData" in a for a in actions) <= 1, f"version {v}"
            if v == 0:
                assert any("protocol" in a for a in actions) and any("metaData" in a for a in actions)
                live = {}
            adds, removes = [a["add"] for a in actions if "add" in a], [a["remove"] for a in actions if "remove" in a]
            for paths in ([a["path"] for a in adds], [r["path"] for r in removes], [a["txn"]["appId"] for a in actions if "txn" in a]):
                assert len(set(paths)) == len(paths), f"version {v} names one thing twice: {paths}"
            for r in removes:
                assert r["path"] in live, f"version {v} removes {r['path']}, which is not live"
                assert r["partitionValues"] == live[r["path"]]["partitionValues"] and r["size"] == live[r["path"]]["size"], f"version {v}: {r}"
                assert r["extendedFileMetadata"] is True and r["deletionTimestamp"] > 0
                del live[r["path"]]
            for a in adds:
                assert a["path"] not in live, f"version {v} adds {a['path']} again"
                live[a["path"]] = a
            info = actions[0]["commitInfo"]
            for key in ("timestamp", "operation", "operationParameters", "engineInfo"):
                assert key in info, f"version {v}: commitInfo has no {key}"
            moved = [x for x in adds + removes if not x["dataChange"]]
            if moved:
                assert len(moved) == len(adds + removes), f"version {v} mixes dataChange"
                count = [sum(json.loads(x["stats"])["numRecords"] for x in adds), sum(json.loads(self_add["stats"])["numRecords"] for self_add in
                         (self.add_of(r["path"], v) for r in removes))]
                assert count[0] == count[1], f"version {v} moves rows and has {count}"
        for c in self.checkpoints():
            if c in have and have[0] == 0:
                plain, quick = self.snapshot(c), self.snapshot(c, from_checkpoint=True)
                assert plain.adds.keys() == quick.adds.keys() and plain.txns == quick.txns, f"checkpoint {c} differs from its log"
                for path, add in plain.adds.items():
                    other = quick.adds[path]
                    assert (add["size"], add["partitionValues"], json.loads(add.get("stats") or "null")) == \
                        (other["size"], other["partitionValues"], json.loads(other.get("stats") or "null")), f"checkpoint {c}: {path}"
                assert plain.metadata["schemaString"] == quick.metadata["schemaString"] and plain.metadata["configuration"] == quick.metadata["configuration"]
        for v in [have[-1]] if versions is None else versions:
            self.check_files(self.snapshot(v))

    def add_of(self, path, before):
        for v in range(before - 1, -1, -1):
            for action in self.commit(v):
                if action.get("add", {}).get("path") == path:
                    return action["add"]
        raise AssertionError(f"{path} was never added")

    def check_files(self, snapshot):
        protocol = snapshot.protocol
        ntz = any("timestamp_ntz" in json.dumps(f["type"]) for f in snapshot.fields)
        assert (protocol["minReaderVersion"], protocol["minWriterVersion"]) == ((3, 7) if ntz else (1, 2)), protocol
        for add in snapshot.adds.values():
            assert add["partitionValues"].keys() == set(snapshot.metadata["partitionColumns"]), add
            assert "" not in add["partitionValues"].values(), f"an empty text for NULL: {add}"
            info = self.fs.get_file_info(self.disk_path(add))
            assert info.type == pyarrow.fs.FileType.File and info.size == add["size"], f"{add['path']}: {info}"
            table, data = self.file_rows(snapshot, add)
            check_stats(table, add.get("stats"), snapshot.metadata["partitionColumns"], add["path"])


def plain(text, type_):
    """A min or max as JSON states it, comparable to `comparable`."""
    if pa.types.is_timestamp(type_):
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)
        delta = moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
    if pa.types.is_date(type_):
        return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    if pa.types.is_floating(type_):
        return float(text)
    if pa.types.is_decimal(type_):
        return decimal.Decimal(text)
    return text.encode() if isinstance(text, str) else text


def comparable(column):
    type_ = column.type
    if pa.types.is_timestamp(type_) or pa.types.is_date64(type_):
        return column.cast(pa.int64()).to_pylist()
    if pa.types.is_date32(type_):
        return column.cast(pa.int32()).to_pylist()
    return [v.encode() if isinstance(v, str) else v for v in column.to_pylist()]


def check_stats(table, text, partition, what):
    """numRecords and nullCount are exact, every value lies in [min, max]; a bound says nothing about NaN, so none may be there."""
    assert text, f"{what} has no statistics"
    stats = json.loads(text, parse_float=decimal.Decimal, parse_constant=lambda word: (_ for _ in ()).throw(AssertionError(f"{what}: a bare {word} in the statistics")))
    assert stats["numRecords"] == table.num_rows, f"{what}: numRecords {stats['numRecords']}, {table.num_rows} rows"
    for kind in ("minValues", "maxValues", "nullCount"):
        wrong = stats.get(kind, {}).keys() & set(partition)
        assert not wrong, f"{what}: statistics of the partition column {wrong}"
    for name, count in stats.get("nullCount", {}).items():
        assert table.column(name).null_count == count, f"{what}: nullCount of {name} is {count}, truly {table.column(name).null_count}"
    for kind in ("minValues", "maxValues"):
        for name, bound in stats.get(kind, {}).items():
            column = table.column(name)
            bound, values = plain(bound, column.type), [v for v in comparable(column) if v is not None]
            assert values, f"{what}: {kind} of {name}, which has no value"
            assert not any(v != v for v in values), f"{what}: {kind} of {name}, which has a NaN"
            beyond = [v for v in values if (v < bound if kind == "minValues" else v > bound)]
            assert not beyond, f"{what}: {kind} of {name} is {bound!r} and there is {beyond[0]!r}"


def strip_stats(fs, base):
    """Takes the statistics out of every commit of a table (a copy of one, made by the test)."""
    log = DeltaLog(fs, base)
    for name in log.log_names():
        path = f"{base}/_delta_log/{name}"
        if not name.endswith(".json"):
            fs.delete_file(path)
            continue
        actions = [json.loads(line) for line in read(fs, path).decode().splitlines()]
        for action in actions:
            action.get("add", {}).pop("stats", None)
        with fs.open_output_stream(path) as out:
            out.write("".join(json.dumps(a) + "\n" for a in actions).encode())
