# `make study` and `make test` need Rust, a C++ compiler and Python 3 with pip, and no other preparation.
#
# Everything is built in the release profile, so that torch-sys, by far the slowest to compile, is compiled once for the
# programs, the tests and the lints.

PYTHON ?= python3
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Where cargo installs programs; rustup adds that folder to the PATH.
BIN := $(or $(CARGO_INSTALL_ROOT),$(CARGO_HOME),$(HOME)/.cargo)/bin

# cargo reads LIBTORCH only from .cargo/config.toml, into which scripts/libtorch.py also copies the user's own LIBTORCH.
# Two sources would differ sooner or later, and each change recompiles torch-sys.
unexport LIBTORCH

# CUDA=1 asks for the CUDA build, CUDA=0 for the CPU build; without either, a clone keeps the build it has. Any other
# value is some other tool's variable, such as the folder of a CUDA toolkit.
VARIANT := $(if $(filter 1,$(CUDA)),--cuda,$(if $(filter 0,$(CUDA)),--cpu))

.DEFAULT_GOAL := help
.PHONY: help study test fuzz torture build libtorch lint format install bench clean tools

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

study: build ## fetch libtorch, build both programs and run experiments/lr_study.toml
	$(TARGET)/release/pipeline run experiments/lr_study.toml

# Most tests run the program and wait for its processes and for the disk, so twice as many tests as cores run at once.
test: build ## run the whole test suite
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$((2 * $$(getconf _NPROCESSORS_ONLN)))} \
	  $(CARGO) test --release --workspace --locked

# Needs `cargo install cargo-fuzz --locked`. libFuzzer's corpus is kept under target/. FUZZ='sql set' runs those two.
FUZZ_SECONDS ?= 60
FUZZ ?= $(notdir $(wildcard tests/corpus/*))

# No sanitizer, so a stable compiler will do: the code is safe Rust except for SQLite. Memory is limited like a frame's.
fuzz: tools ## fuzz each property in tests/properties with libFuzzer, for FUZZ_SECONDS=60
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'error: cargo-fuzz was not found' >&2; \
	  echo 'hint: cargo install cargo-fuzz --locked' >&2; exit 1; }
	@for target in $(FUZZ); do mkdir -p $(TARGET)/fuzz/corpus/$$target; \
	  $(CARGO) fuzz run --fuzz-dir tests/fuzz --target-dir $(TARGET)/fuzz --sanitizer none $$target \
	    $(TARGET)/fuzz/corpus/$$target tests/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=20 -max_len=4096 -malloc_limit_mb=80 || exit 1; done

# For options, see `tests/torture/torture.py --help`; for example TORTURE='--minutes 5 --only kills,disks'.
torture: build ## attack the program for an hour (kills, full disks, power cuts, …); TORTURE='--minutes 5' for less
	$(PYTHON) tests/torture/torture.py --pipeline $(TARGET)/release/pipeline $(TORTURE)

build: libtorch ## build both programs into target/release
	$(CARGO) build --release --workspace --locked

libtorch: tools ## install libtorch into the cache folder; CUDA=1 for the CUDA build, CUDA=0 for the CPU build again
	@LIBTORCH='$(LIBTORCH)' $(PYTHON) scripts/libtorch.py $(VARIANT) >/dev/null

lint: libtorch ## check formatting and run the lints, warnings as errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --profile release --workspace --all-targets --locked -- -D warnings

format: ## format the sources
	$(CARGO) fmt --all

# Copies the programs instead of running `cargo install`, which resolves features per package: it would recompile most
# dependencies, ask the registry, and install something other than what was tested.
install: build ## install pipeline and pipeline-neural, independent of this clone
	@mkdir -p "$(BIN)"
	install -m 755 $(TARGET)/release/pipeline $(TARGET)/release/pipeline-neural "$(BIN)"
	"$(BIN)/pipeline" man --to "$(BIN)/../share/man/man1"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo 'hint: $(BIN) is not on your PATH' >&2 ;; esac

# BENCH='--rounds 3 --study-steps 100' takes half the time; for other options see `bench/contest.py --help`.
bench: build ## compare speed with PyTorch, Hugging Face and sqlite3, into bench/RESULTS.md; PYTHON must have them
	$(CARGO) build --release --workspace --example steps --locked
	$(PYTHON) bench/contest.py --python $(PYTHON) --pipeline $(TARGET)/release/pipeline \
	  --steps-program $(TARGET)/release/examples/steps $(BENCH)

clean: ## delete build outputs; libtorch stays in the cache folder
	$(CARGO) clean

tools:
	@command -v $(CARGO) >/dev/null || { echo 'error: cargo was not found' >&2; \
	  echo 'hint: install Rust from https://rustup.rs, then open a new shell' >&2; exit 1; }
	@command -v $${CXX:-c++} >/dev/null || { echo "error: no C++ compiler was found ($${CXX:-c++})" >&2; \
	  echo 'hint: install one (Debian: apt install g++; Fedora: dnf install gcc-c++)' >&2; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo 'error: $(PYTHON) was not found' >&2; \
	  echo 'hint: install Python 3 with pip (Debian: apt install python3 python3-pip)' >&2; exit 1; }
