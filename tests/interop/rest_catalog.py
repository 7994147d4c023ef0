"""Apache's reference REST catalog for Iceberg (tests/interop/jars/RestCatalog.java) as a process on loopback, over a place of tables.py."""
import pathlib
import subprocess

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
