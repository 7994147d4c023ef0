"""One Spark with Delta, Iceberg and S3, for `make test-interop`: the jars that `tools/setup interop` brought."""
import tempfile

import tables


def begin(minio):
    from pyspark.sql import SparkSession
    jars = sorted((tables.SOURCE / ".deps/jars/spark").glob("*.jar"))
    assert jars, "the jars are missing: run tools/setup interop"
    path = ":".join(map(str, jars))
    options = {
        "spark.driver.extraClassPath": path, "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.shuffle.partitions": "2", "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.memory": "1g", "spark.default.parallelism": "2", "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension,org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.s3a.S3AFileSystem", "spark.hadoop.fs.s3a.endpoint": minio.url, "spark.hadoop.fs.s3a.access.key": minio.access_key,
        "spark.hadoop.fs.s3a.secret.key": minio.secret_key, "spark.hadoop.fs.s3a.path.style.access": "true", "spark.hadoop.fs.s3a.endpoint.region": minio.region,
        "spark.sql.warehouse.dir": tempfile.mkdtemp(prefix="ticklake-spark-"), "spark.sql.execution.arrow.pyspark.enabled": "true", "spark.sql.iceberg.vectorization.enabled": "true",
    }
    builder = SparkSession.builder.master("local[2]").appName("tables")
    for key, value in options.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def uri(place, name):
    return place.uri(name).replace("s3://", "s3a://")


def read_delta(spark, place, name, version=None):
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(uri(place, name)).toArrow()


def read_iceberg(spark, place, name, snapshot=None):
    reader = spark.read.format("iceberg")
    if snapshot is not None:
        reader = reader.option("snapshot-id", snapshot)
    return reader.load(uri(place, name)).toArrow()
