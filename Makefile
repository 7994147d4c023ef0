# make            set up this machine as far as needed and build build/ticklake and build/libticklake.so
# make demo       the same, then show it on the simulator            make test   build with faults in, run every test
# make test-asan  make test-tsan   the tests under the sanitizers    make fuzz   FUZZ_SECONDS (600) a decoder
# make test-interop   open tables beside Spark and through an Iceberg REST catalog (100 MB of jars, Java)
# make fuzz-smoke 10 s a decoder   make coverage  lines and branches of src/, fails below 90 and 80 %
# make reliability SHARD=1/4       make bench     ticklake beside its peers
# make install PREFIX=/usr/local DESTDIR=       make clean       make distclean (fetched code too)
# Nothing is fetched or built twice: tools/setup and ninja look first.
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 600
SHARD ?= 1/1
CTEST_ARGS ?=
BUILD = cmake --build --preset

all: build

setup:
	@tools/setup build
setup-test:
	@tools/setup test

build/build.ninja: CMakePresets.json | setup
	@cmake --preset release
build-dev/build.ninja: CMakePresets.json | setup-test
	@cmake --preset dev
build-asan/build.ninja: CMakePresets.json | setup-test
	@cmake --preset asan
build-tsan/build.ninja: CMakePresets.json | setup-test
	@cmake --preset tsan
build-fuzz/build.ninja: CMakePresets.json | setup-test
	@cmake --preset fuzz
build-cov/build.ninja: CMakePresets.json | setup-test
	@cmake --preset coverage

build: setup build/build.ninja
	@$(BUILD) release
dev: setup-test build-dev/build.ninja
	@$(BUILD) dev
asan: setup-test build-asan/build.ninja
	@$(BUILD) asan
tsan: setup-test build-tsan/build.ninja
	@$(BUILD) tsan

demo: build
	@tools/demo.sh

test: dev
	@ctest --preset dev $(CTEST_ARGS)
test-asan: asan
	@ctest --preset asan $(CTEST_ARGS)
test-tsan: tsan
	@ctest --preset tsan $(CTEST_ARGS)
test-interop: dev
	@tools/setup interop
	@TICKLAKE_BIN=$(CURDIR)/build-dev/ticklake TICKLAKE_SOURCE=$(CURDIR) PYTHONDONTWRITEBYTECODE=1 \
	  .deps/venv/bin/python -m pytest -v -p no:cacheprovider tests/interop/spark_*.py

fuzz-build: setup-test build-fuzz/build.ninja
	@$(BUILD) fuzz
fuzz: fuzz-build
	@tools/fuzz.sh $(FUZZ_SECONDS)
fuzz-smoke: fuzz-build
	@tools/fuzz.sh 10

coverage: setup-test build-cov/build.ninja
	@$(BUILD) coverage
	@tools/coverage.sh build-cov 90 80

reliability: dev
	@tools/reliability.sh $(SHARD)

bench: build setup-test
	@bench/run

install: build
	@cmake --build build --target words
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(PREFIX)"

clean:
	rm -rf build build-dev build-asan build-tsan build-fuzz build-cov
distclean: clean
	rm -rf .deps

.PHONY: all setup setup-test build dev asan tsan demo test test-asan test-tsan test-interop fuzz-build fuzz fuzz-smoke coverage \
  reliability bench install clean distclean
