"""Apache's reference REST catalog for Iceberg (tests/interop/jars/RestCatalog.java) as a process on loopback, over a place of tables.py."""
import pathlib
import subprocess

import iceberg_log
import tables


class RestCatalog:
    def __init__(self, place):
        self.place = place
        folder = tables.SOURCE / ".deps/jars/rest"
        assert (folder / "classpath").exists(), f"{folder} is missing: run tools/setup interop"
        options = []
        if place.minio:
            for scheme in ("s3", "s3a"):
                options.append(f"fs.{scheme}.impl=org.apache.hadoop.fs.s3a.S3AFileSystem")
            options += [f"fs.s3a.endpoint={place.minio.url}", f"fs.s3a.access.key={place.minio.access_key}", f"fs.s3a.secret.key={place.minio.secret_key}",
                        "fs.s3a.path.style.access=true", f"fs.s3a.endpoint.region={place.minio.region}"]
        self.warehouse = place.uri("warehouse")
        if not place.minio:
            pathlib.Path(self.warehouse).mkdir()
        self.log = open(place.home / "rest.log", "wb")
        self.child = subprocess.Popen(["java", "-Xmx400m", "-cp", (folder / "classpath").read_text().strip(), "RestCatalog", self.warehouse, place.home / "catalog.db", *options],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=place.home)
        line = self.child.stdout.readline().decode()
        assert line.startswith("listening on "), (place.home / "rest.log").read_text()[-3000:]
        self.url = line.split()[-1]

    def pyiceberg(self):
        from pyiceberg.catalog.rest import RestCatalog as Client
        return Client("tests", uri=self.url, **self.place.pyiceberg)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait(20)
        self.child.stdout.close()
        self.log.close()


class RestTable(tables.Table):
    """A table of the catalog, ns.NAME; its peers find it there as we do."""

    def __init__(self, catalog, name, partition=None, columns=tables.COLUMNS, url=None):
        self.catalog, self.client = catalog, catalog.pyiceberg()
        if ("ns",) not in self.client.list_namespaces():
            self.client.create_namespace("ns")
        self.settings = {"TICKLAKE_ICEBERG_REST": url or catalog.url, "TICKLAKE_ICEBERG_WAREHOUSE": catalog.warehouse}
        self.rest_uri = f"rest:ns.{name}"
        super().__init__(catalog.place, name, "iceberg", partition, columns)

    def run(self, verb, *args, **options):
        return tables.ok(self.place, ["table", verb, self.rest_uri, *args], **{**self.settings, **options})

    def load(self):
        return self.client.load_table(f"ns.{self.name}")

    def iceberg(self):
        at = self.load().metadata_location
        return iceberg_log.IcebergLog(self.place.fs, iceberg_log.plain_path(at).rpartition("/metadata/")[0], at)

    def check(self, step=-1, readers=None, lint=True):
        what, want, _, _ = self.versions[step]
        _, iceberg = self.wants(step)
        snapshot, newest = want["iceberg"], step in (-1, len(self.versions) - 1)
        table = self.load()
        for at in [snapshot] * (snapshot != -1) + [None] * newest:
            found = {"pyiceberg": table.scan(snapshot_id=at).to_arrow(), "iceberg_log": self.iceberg().rows(at),
                     "duckdb": tables.read_duckdb_iceberg(self.place, self.name, at, metadata=table.metadata_location)}
            for name, data in found.items():
                got = tables.to_read(data)
                expected = iceberg if at is None else tables.narrowed(iceberg, got)
                tables.same(got if at is None else tables.narrowed(got, expected), expected, f"{self.name}, {what}, {name} at {at}")
        if lint and newest:
            self.lint()
