# SPDX-License-Identifier: GPL-2.0-or-later
# The front door for people: each target is a few commands around Meson and the scripts of ci/ and tests/vm.

BUILD  ?= build
PREFIX ?= /usr/local

.PHONY: all check check-vm check-vm-long check-fio check-tools check-interface check-arm64 soak demo bench bench-check bench-build fuzz mutants coverage lint docs prepush install clean help \
	lint-format lint-gcc lint-clang lint-scan-build lint-cppcheck lint-sparse lint-valgrind

# The plain build of everything; what it is made of can be changed with "meson configure build".
all:
	@ci/install-deps build
	@ci/build $(BUILD) -Dprefix=$(PREFIX)

# Half the time this takes is the compiler's and the linker's, so the one is asked for little, and the other is the quickest
# that is there. Only what tests need is built. The millions of some of them are for "make coverage".
SANITIZED = -Db_lundef=false -Doptimization=g -Dc_args=-g1 -Dvm_tests=disabled -Ddocs=disabled \
	$(if $(shell command -v ld.gold),-Dc_link_args=-fuse-ld=gold)
ASAN      = -Db_sanitize=address,undefined $(SANITIZED)
LIBRARY   = -Dtools=disabled -Dexamples=disabled
TSAN      = -Db_sanitize=thread $(SANITIZED) $(LIBRARY) -- threaded-programs

check:
	@ci/install-deps build
	@ci/build $(BUILD)/asan $(ASAN) $(LIBRARY) -- meson-test-prereq
	@CYCLES=$${CYCLES:-20000} ci/run-tests asan $(BUILD)/asan \
		--no-suite threaded --no-suite interface --no-suite runners --no-suite again
	@ci/build $(BUILD)/tsan $(TSAN)
	@ci/run-tests tsan $(BUILD)/tsan --suite threaded

# vfntool and the examples, as processes on the fake kernel.
check-tools:
	@ci/install-deps build
	@ci/build $(BUILD)/tools $(ASAN) -- tool-programs
	@ci/run-tests tools $(BUILD)/tools --suite tools

# What programs see of the library, as it is installed: no sanitizer has a say in that. And the tests of tests' runners.
check-interface:
	@ci/install-deps build
	@ci/build $(BUILD)/interface -Demu=true -Dvm_tests=disabled
	@ci/run-tests interface $(BUILD)/interface --suite interface --suite runners

# What is given on the command line of make is in the environment of the runner.
# What is missing is named, or installed, at once and not in two steps; but what builds a kernel only if one is built.
check-vm:
	@ci/install-deps build vm
	@$(MAKE) --no-print-directory all
	@tests/vm/run --build $(BUILD)

# Several cases, at most two guests at a time; SOAK_TIME and SOAK_ARGS are for the soak program, here and in the next one.
check-vm-long:
	@ci/install-deps build vm
	@$(MAKE) --no-print-directory all
	@PROFILE=own-6.12,own-6.12-type1 TEST='*-long' tests/vm/run --build $(BUILD)

# The engine for fio, on the emulated machine and in a guest. Sources of fio are fetched once.
FIO_SOURCE = $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/libvfn/fio-source

check-fio:
	@ci/install-deps build vm fio
	@ci/fio-source $(FIO_SOURCE)
	@ci/build $(BUILD)/fio -Dfio=$(FIO_SOURCE) --werror -Dtests=enabled -Dexamples=disabled -Ddocs=disabled -- \
		fio/vfn-fio.so tests/unit/fio/emulated-fio.so tools/vfntool/vfntool tests/vm/guest/features
	@ci/run-tests fio $(BUILD)/fio fio
	@PROFILE=fio tests/vm/run --build $(BUILD)/fio

soak:
	@ci/install-deps build
	@ci/build $(BUILD)/tsan $(TSAN)
	@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 $(BUILD)/tsan/tests/soak/soak \
		--time $(or $(SOAK_TIME),600) $(SOAK_ARGS)

# For arm64, by a cross compiler, and run by QEMU as programs of this machine.
check-arm64:
	@ci/install-deps build arm64
	@ci/foreign-packages arm64 $(BUILD)/arm64-root libcmocka0 libcmocka-dev
	@ci/build $(BUILD)/arm64 --cross-file $(BUILD)/arm64-root/root.ini --cross-file ci/arm64.ini --werror \
		-Dtests=enabled -Dtools=enabled -Dexamples=enabled -Dvm_tests=disabled -Ddocs=disabled
	@ci/run-tests arm64 $(BUILD)/arm64 --timeout-multiplier 4
	@QEMU_PAGESIZE=65536 ci/run-tests arm64-pages $(BUILD)/arm64 support-mem

demo:
	@ci/install-deps build vm
	@$(MAKE) --no-print-directory all
	@tests/vm/demo --build $(BUILD)

# In a build as users have it. Standard output has the table, or with ARGS=--json the figures, and nothing else.
bench: bench-build
	@bench/bench.py $(BUILD)/release $(ARGS)

# Instructions only, which are the same everywhere: against bench/figures.json; and what docs/performance.md shows.
bench-check: bench-build
	@bench/bench.py $(BUILD)/release --check $(ARGS)
	@bench/page.py $(BUILD)/release/bench/bench --check $(ARGS)

# With --guest among the arguments, what runs in one, too.
bench-build: guest := $(filter --guest,$(ARGS))
bench-build:
	@ci/install-deps build bench $(if $(guest),vm) >&2
	@ci/build $(BUILD)/release --buildtype=release -Dtests=enabled -Dexamples=disabled -Ddocs=disabled -- \
		bench-programs $(if $(guest),tools/vfntool/vfntool tests/vm/guest/features tests/vm/guest/startup) >&2

# FUZZ, FUZZ_TIME, FUZZ_RUNS and FUZZ_JOBS on the command line of make are in the environment of the runner.
fuzz:
	@ci/install-deps build fuzz
	@CC=clang ci/build $(BUILD)/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dtests=enabled \
		-Dtools=disabled -Dvm_tests=disabled -Ddocs=disabled -- fuzz-programs
	@tests/fuzz/run --build $(BUILD)/fuzz

# MUTANTS, MUTANTS_SEED, MUTANTS_AT and MUTANTS_JOBS on the command line of make are in the environment of the script.
mutants:
	@ci/install-deps build
	@nice -n 10 tests/mutation/mutants.py --build $(BUILD)/mutants

coverage:
	@ci/install-deps build lint
	@ci/build $(BUILD)/coverage -Db_coverage=true $(LIBRARY) -Dvm_tests=disabled
	@ci/run-tests coverage $(BUILD)/coverage
	@gcovr --root . --filter src/ --fail-under-line 85 $(BUILD)/coverage

lint: lint-format lint-gcc lint-clang lint-scan-build lint-cppcheck lint-sparse lint-valgrind

lint-format:
	@ci/install-deps build lint
	@git ls-files '*.[ch]' | xargs clang-format --dry-run -Werror

lint-gcc:
	@ci/install-deps build lint
	@ci/build $(BUILD)/gcc --werror -Ddocs=disabled

lint-clang:
	@ci/install-deps build lint
	@CC=clang ci/build $(BUILD)/clang --werror -Ddocs=disabled

# scan-build wants to see both the choice of the compiler and every compilation. It does not know that cmocka's
# assertions end a test, so it leaves the tests alone.
lint-scan-build:
	@ci/install-deps build lint
	@rm -rf $(BUILD)/scan
	@scan-build -o $(BUILD)/scan-reports meson setup $(BUILD)/scan \
		-Dtests=disabled -Dvm_tests=disabled -Ddocs=disabled
	@scan-build -o $(BUILD)/scan-reports --status-bugs ninja -C $(BUILD)/scan

# cppcheck knows no compiler's macros. NULL is a pointer wherever Linux runs, and GNU C counts void in bytes.
lint-cppcheck: lint-gcc
	@cppcheck -q -j2 --project=$(BUILD)/gcc/compile_commands.json --enable=warning,portability -D__x86_64__ \
		--inline-suppr --suppress=missingInclude --suppress=varFuncNullUB \
		--suppress=arithOperationsOnVoidPointer --suppress=duplicateAssignExpression --error-exitcode=1

# sparse sees what is of which byte order, in all of the library and, with inline.c, in all headers. It does not know the
# compiler's function for the time stamp counter, and that an address may be given as a number is no mistake.
lint-sparse: lint-gcc
	@git ls-files 'src/*.c' | xargs -n1 sparse -Wsparse-error -std=gnu11 -D_GNU_SOURCE -Wbitwise -Wno-decl \
		-Wno-non-pointer-null -Wno-cast-truncate '-D__builtin_ia32_rdtsc()=0ULL' -D__vfn_nocast= \
		-Iinclude -I$(BUILD)/gcc/include -Isrc

# valgrind does not take up an access again that has raised a signal.
lint-valgrind: lint-gcc
	@CYCLES=20000 ci/run-tests valgrind $(BUILD)/gcc --timeout-multiplier 10 --no-suite interface --no-suite runners --no-suite tools --no-suite faulting \
		--wrapper "valgrind -q --leak-check=full --error-exitcode=99"

# The manual in HTML is in $(BUILD)/docs/docs/html.
docs:
	@ci/install-deps build docs
	@ci/build $(BUILD)/docs -Ddocs=enabled $(LIBRARY) -Dtests=disabled -Dvm_tests=disabled
	@ci/run-tests docs $(BUILD)/docs --suite docs

prepush: check check-tools check-interface check-arm64 check-vm check-fio bench-check fuzz coverage lint docs

install: all
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

help:
	@echo 'make            build the library, vfntool and the examples in $(BUILD)/'
	@echo 'make check      unit tests under ASan and UBSan, the threaded ones under TSan; no root, no hardware'
	@echo 'make check-tools  vfntool and the examples on the emulated machine, under ASan and UBSan'
	@echo 'make check-interface  headers, symbols, programs built against an installation'
	@echo 'make check-arm64  the tests of both on arm64, by a cross compiler and QEMU'
	@echo 'make check-vm   tests in guests under QEMU, against real kernels; no root, no KVM, no hardware'
	@echo '                PROFILE=NAME,... chooses guests, TEST=PATTERN,... cases, VFN_KERNEL=FILE another kernel'
	@echo '                a kernel of our own, which has iommufd, is built once, in 4 to 10 minutes'
	@echo '                PROFILE=own-newest is not among the default guests: the newest kernel, built the same way'
	@echo 'make check-vm-long  the cases that take long, such as 1000 resets under load, and SOAK_TIME=600 seconds of soak'
	@echo 'make check-fio  the engine for fio, on the emulated controller and in a guest; fetches the sources of fio once'
	@echo 'make soak       everything at once on the emulated controller, under TSan, for SOAK_TIME=600 seconds;'
	@echo '                SOAK_ARGS="--seed N --threads N --ops N --lockstep" repeats what failed'
	@echo 'make demo       boot a guest: identify, 16 MiB of verified I/O, a short performance run'
	@echo 'make bench      what an I/O costs: instructions, lines of memory, ns; ARGS=--all every row, ARGS=--json figures,'
	@echo '                ARGS=--guest the time to the first read in a guest, too; ARGS=--help how to read it'
	@echo 'make bench-check  no instruction count is 2 % above bench/figures.json; ARGS=--update for new figures'
	@echo 'make fuzz       libFuzzer on parsers, hostile kernels and devices, and models, FUZZ_TIME=20 seconds each;'
	@echo '                FUZZ=NAME,... chooses, FUZZ_RUNS=N counts executions instead'
	@echo 'make mutants    change the library in MUTANTS=300 places, one at a time: "make check" has to notice 85 % of the changes;'
	@echo '                MUTANTS_SEED=N chooses others, MUTANTS_AT=FILE:LINE all of a line; takes about half an hour'
	@echo 'make coverage   line coverage of src/ by the unit tests'
	@echo 'make lint       clang-format, gcc and clang with -Werror, scan-build, cppcheck, sparse, valgrind'
	@echo 'make docs       the manual, in $(BUILD)/docs/docs/html, and the manual pages; no warning is let through'
	@echo 'make prepush    all of the above tests and checks but mutants: what CI runs'
	@echo 'make install    install below PREFIX=$(PREFIX) (and DESTDIR)'
	@echo 'make clean      remove $(BUILD)/'
