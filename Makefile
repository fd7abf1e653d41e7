# mpianist: build, test, demo, install. `make help` lists every target.

VERSION := 0.1.0
CONFIG  ?= release
BUILD   ?= build/$(CONFIG)
BIN     ?= $(if $(filter release,$(CONFIG)),build,$(BUILD)/bin)
PREFIX  ?= /usr/local
DESTDIR ?=
CORPUS  ?=
OUTPUT  ?= demo
WERROR  ?=

PYTHON ?= python3

# The vendors' flags (MPI_CFLAGS, MPI_LIBS and so on; each can be given instead) are asked once, by ./vendors,
# after ./deps has installed what is missing: make remakes a file that it includes, and then begins anew.
# Goals that compile nothing, and make -n, do not ask.
VENDORS := build/vendors.mk
ifneq ($(filter-out clean config deps format fresh golden help uninstall,$(or $(MAKECMDGOALS),all)),)
include $(if $(findstring n,$(firstword -$(MAKEFLAGS))),$(wildcard $(VENDORS)),$(VENDORS))
endif
$(VENDORS): vendors
	@mkdir -p $(@D)
	@./deps build; CC='$(CC)' ./vendors >$@.new && mv $@.new $@

## config: which compiler, MPI, BLAS and other parts were found and will be used; asks again
.PHONY: config
config:
	@mkdir -p $(dir $(VENDORS))
	@CC='$(CC)' ./vendors >$(VENDORS).new
	@cmp -s $(VENDORS).new $(VENDORS) && rm $(VENDORS).new || mv $(VENDORS).new $(VENDORS)

OPTIMIZE.release := -O3 -g
# Without the second option GCC leaves wide registers in use, and other code then takes three times as long.
OPTIMIZE.asan    := -O1 -fexpensive-optimizations -g -fsanitize=address,undefined \
                    -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPTIMIZE.double  := -O2 -g -DMPIANIST_DOUBLE
OPTIMIZE.coverage := -O0 -g --coverage -fprofile-abs-path -fprofile-update=atomic
OPTIMIZE.debug   := -O0 -g
OPTIMIZE.fuzz    := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
                    -fno-omit-frame-pointer
OPTIMIZE ?= $(OPTIMIZE.$(CONFIG))

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
            $(if $(WERROR),-Werror)
# No -ffast-math: checks for NaN must work. The first two only free the compiler from errno and traps; without
# contraction (fused multiply-add) every processor rounds alike, so that replicas on unlike hosts stay equal.
# GLib is used as it was in 2.74 (Debian 12): nothing newer, and nothing is deprecated that was not yet.
CFLAGS   ?=
CPPFLAGS ?=
LDFLAGS  ?=
VENDOR_CFLAGS := $(foreach part,MPI BLAS HDF5 ZLIB CRYPTO SMF GLIB CAIRO AUDIO,$($(part)_CFLAGS))
COMPILE  := $(CC) -std=gnu11 $(OPTIMIZE) -fno-math-errno -fno-trapping-math -ffp-contract=off $(WARNINGS) \
            -D_GNU_SOURCE -DMPIANIST_VERSION='"$(VERSION)"' \
            -DGLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74 -DGLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_74 \
            -I. $(patsubst -I%,-isystem %,$(VENDOR_CFLAGS)) $(CPPFLAGS) $(CFLAGS) -MMD -MP
LINK     := $(CC) $(OPTIMIZE) $(LDFLAGS)

# One short line a file; V=1 shows the commands.
comma := ,
quiet = $(if $(V),,@echo '  $(1) $@' &&)

# The objects of folders and of the folders in them, but main.o.
objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out %/main.c,$(wildcard $(1:=/*.c) $(1:=/*/*.c))))
LIBPREPROCESS := $(BUILD)/libpreprocess.a
LIBMODEL      := $(BUILD)/libmodel.a
LIBTRAINER    := $(BUILD)/libtrainer.a
LIBSAMPLER    := $(BUILD)/libsampler.a
PROGRAMS      := $(addprefix $(BIN)/,preprocess trainer sampler)

PREPROCESS_LIBS := $(HDF5_LIBS) $(ZLIB_LIBS) $(CRYPTO_LIBS) $(GLIB_LIBS) -lm
TRAINER_LIBS    := $(MPI_LIBS) $(BLAS_LIBS) $(PREPROCESS_LIBS)
SAMPLER_LIBS    := $(CAIRO_LIBS) $(AUDIO_LIBS) $(BLAS_LIBS) $(PREPROCESS_LIBS)

## all: build the three programs (default)
.PHONY: all
all: programs

.PHONY: programs
programs: $(PROGRAMS)

$(BUILD)/%.o: %.c $(VENDORS)
	@mkdir -p $(@D)
	$(call quiet,CC) $(COMPILE) -c -o $@ $<

# Their results go through the averaging of gradients, so ranks stay equal however they round: multiply and
# add may be one instruction. It must be so for vectors of any width: GCC 14 by itself leaves it out of some
# sums in vectors of 256 bits, but not of 512.
FUSED := -ffp-contract=fast $(if $(findstring clang,$(CC)),,--param=avoid-fma-max-bits=0)
$(BUILD)/trainer/model/gru.o $(BUILD)/trainer/model/grains.o: COMPILE += $(FUSED)

$(LIBPREPROCESS): $(call objects,preprocess)
# The model and its file are all of the trainer that the sampler links.
$(LIBMODEL): $(call objects,trainer/model trainer/checkpoint)
$(LIBTRAINER): $(filter-out $(call objects,trainer/model trainer/checkpoint),$(call objects,trainer))
$(LIBSAMPLER): $(call objects,sampler)
$(BUILD)/lib%.a:
	@rm -f $@
	$(call quiet,AR) $(AR) rcs $@ $^

# In the sanitizer build MPI's modules stay loaded to the end, so that reports of leaks can name them.
KEEP_MODULES := $(if $(filter asan,$(CONFIG)),$(BUILD)/tests/helpers/keep_modules.o)

# Each program links its own archive and those it may call: an upward call fails here.
$(BIN)/preprocess: $(BUILD)/preprocess/main.o $(LIBPREPROCESS)
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK) -o $@ $^ $(PREPROCESS_LIBS)
$(BIN)/trainer: $(BUILD)/trainer/main.o $(KEEP_MODULES) $(LIBTRAINER) $(LIBMODEL) $(LIBPREPROCESS)
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK) -o $@ $^ $(TRAINER_LIBS)
$(BIN)/sampler: $(BUILD)/sampler/main.o $(LIBSAMPLER) $(LIBMODEL) $(LIBPREPROCESS)
	@mkdir -p $(@D)
	$(call quiet,LD) $(LINK) -o $@ $^ $(SAMPLER_LIBS)

# Tests: C files of unit/ and golden/ are GLib tests, those of ranks/ programs that its scripts run under
# mpirun, those of helpers/ make test material; gradients/ is built in double precision.
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(filter-out %/keep_modules.c,\
                 $(wildcard $(patsubst %,tests/%/*.c,unit golden ranks helpers))))
# Libraries that stand between a program and those that it calls (LD_PRELOAD).
PRELOADED     := $(patsubst %.c,$(BUILD)/%.so,$(wildcard tests/preload/*.c))
TEST_SCRIPTS  := $(wildcard tests/programs/*.sh tests/ranks/*.sh)
BENCHES       := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c)) \
                 $(addprefix $(BUILD)/tests/simulate/,play profile costs)
DOUBLE_TESTS  := $(patsubst %.c,build/double/%,$(wildcard tests/gradients/*.c))

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(KEEP_MODULES) $(LIBSAMPLER) $(LIBTRAINER) $(LIBMODEL) $(LIBPREPROCESS)
	$(call quiet,LD) $(LINK) -o $@ $^ $(TRAINER_LIBS) $(SAMPLER_LIBS)

$(BUILD)/tests/preload/%.so: tests/preload/%.c $(VENDORS)
	@mkdir -p $(@D)
	$(call quiet,LD) $(COMPILE) -fPIC -shared $(LDFLAGS) -o $@ $< $(MPI_LIBS) $(GLIB_LIBS)

$(BUILD)/tests/simulate/play: $(BUILD)/tests/simulate/machine.o

$(BUILD)/tests/unit/test_libsmf: $(BUILD)/tests/unit/test_libsmf.o $(KEEP_MODULES) $(LIBPREPROCESS)
	$(call quiet,LD) $(LINK) -o $@ $^ $(SMF_LIBS) $(PREPROCESS_LIBS)

# The model's code in double precision, for central differences.
ifeq ($(CONFIG),double)
LIBDOUBLE := $(BUILD)/libdouble.a
$(LIBDOUBLE): $(call objects,trainer/model) $(BUILD)/preprocess/roll/meters.o
$(DOUBLE_TESTS): build/double/%: build/double/%.o $(LIBDOUBLE)
	$(call quiet,LD) $(LINK) -o $@ $^ $(BLAS_LIBS) $(GLIB_LIBS) -lm
.PHONY: double-tests
double-tests: $(DOUBLE_TESTS)
endif

.PHONY: tests
tests: programs $(TEST_PROGRAMS) $(PRELOADED) $(BENCHES) $(if $(shell command -v smpicc),build/simulate/play)
	@$(MAKE) --no-print-directory CONFIG=double BUILD=build/double double-tests

## check: build and pass every test, two at a time (TESTS='tests/unit/test_roll.c ...' picks some; JOBS=1)
.PHONY: check
JOBS  ?= 2
PROVE := prove --timer --failures --comments --directives --exec tests/tap
TESTS ?= $(sort $(wildcard tests/unit/*.c tests/golden/*.c tests/gradients/*.c) $(TEST_SCRIPTS))
check: tests
	@./deps build check demo
	BIN=$(abspath $(BIN)) BUILD=$(abspath $(BUILD)) SOURCE=$(CURDIR) CONFIG=$(CONFIG) \
	  $(PROVE) --jobs $(JOBS) $(TESTS)

## check-slurm: the scripts of slurm/, lost hosts and ranks, on a SLURM cluster made here (as root)
.PHONY: check-slurm
SLURM_TESTS ?= $(sort $(wildcard tests/slurm/*.sh))
check-slurm: tests
	@./deps build check
	@BIN=$(abspath $(BIN)) BUILD=$(abspath $(BUILD)) SOURCE=$(CURDIR) CONFIG=$(CONFIG) \
	  tests/cluster 3 $(PROVE) $(SLURM_TESTS); status=$$?; \
	if [ $$status -eq 77 ]; then echo "check-slurm: NOT TRIED: see the line above"; else exit $$status; fi

## asan: the same tests under AddressSanitizer and UndefinedBehaviorSanitizer
.PHONY: asan
asan:
	$(MAKE) CONFIG=asan check

## fuzz: libFuzzer on the readers of files, SECONDS (600) each (FUZZ='midi options' picks some)
.PHONY: fuzz fuzzers
FUZZ    ?= midi shards checkpoints options
SECONDS ?= 600
FUZZERS := $(FUZZ:%=$(BUILD)/tests/fuzz/fuzz_%)
fuzz:
	@./deps build fuzz
	$(MAKE) CONFIG=fuzz CC=clang WARNINGS= fuzzers
fuzzers: $(FUZZERS) $(BUILD)/tests/helpers/make_songs
	SECONDS_EACH=$(SECONDS) BUILD=$(abspath $(BUILD)) SOURCE=$(CURDIR) tests/fuzz/run $(FUZZ)
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(LIBTRAINER) $(LIBMODEL) $(LIBPREPROCESS)
	$(call quiet,LD) $(LINK) -fsanitize=fuzzer -o $@ $^ $(TRAINER_LIBS)

## coverage: branches of the readers of files that the tests take; fails below 90 %
.PHONY: coverage
READER_TESTS := $(sort $(foreach name,midi reader song mutated lacking h5 shard checkpoint option typo \
                  timeline deflate,$(wildcard tests/unit/test_$(name)*.c)))
coverage:
	@./deps build cover
	find build/coverage -name '*.gcda' -delete 2>/dev/null || true
	MUTATIONS=1000 $(MAKE) CONFIG=coverage check TESTS='$(READER_TESTS)'
	tests/coverage build/coverage

## same: compare what an earlier build and this one write on the demo's songs (OLD=folder of its programs)
.PHONY: same
same: programs
	tests/same_output "$(OLD)" "$(BIN)"

## fresh: make demo and make check in an empty Debian (as root; SUITE=bookworm, AS=user, RUN=demo pick)
.PHONY: fresh
SUITE ?= trixie
fresh:
	SUITE=$(SUITE) tests/fresh

## lint: format, include rules, static analysis
.PHONY: lint
lint:
	@./deps build check lint
	tests/lint

## deps: install what build, demo, check and lint lack (Debian: apt); other targets install what they need
.PHONY: deps
deps:
	@./deps

## demo: from MIDI files to new music in three minutes (CORPUS=folder: your own; MINUTES=2 of training)
.PHONY: demo
demo: programs
	@./deps build demo
	./demo.sh "$(OUTPUT)" $(CORPUS)

## bench: time training against PyTorch here (needs PyTorch, h5py, numpy; SHARDS=folder: real pieces)
.PHONY: bench
SHARDS ?=
bench: $(BUILD)/tests/bench/bench_step
	$(PYTHON) tests/bench/against_pytorch.py $< $(if $(SHARDS),--data "$(SHARDS)")

## bench-preprocess: time preprocess against libsmf's loading and, where installed, symusic (CORPUS=folder)
.PHONY: bench-preprocess
bench-preprocess: $(BIN)/preprocess $(BUILD)/tests/bench/load_libsmf
	$(PYTHON) tests/bench/preprocess_speed.py $^ $(CORPUS)

## bench-files: onsets of real MIDI files against symusic's (needs symusic, music21; downloads packages)
.PHONY: bench-files
bench-files: $(BUILD)/tests/bench/print_notes
	$(PYTHON) tests/bench/real_files.py $<

## bench-streaming: time training under --data-memory against in memory, on 20 GB of made frames (GB=20)
.PHONY: bench-streaming
GB ?= 20
bench-streaming: $(BIN)/trainer $(BUILD)/tests/bench/big_shards
	$(PYTHON) tests/bench/streaming.py $^ --gb $(GB)

## bench-keeping: what checkpoints beside training cost (RANKS=1)
.PHONY: bench-keeping
RANKS ?= 1
bench-keeping: $(BIN)/trainer $(BUILD)/tests/helpers/make_songs $(BIN)/preprocess
	$(PYTHON) tests/bench/keeping.py $^ --ranks $(RANKS)

## bench-reproducible: what --reproducible 8 costs on one rank and on two
.PHONY: bench-reproducible
bench-reproducible: programs $(BUILD)/tests/helpers/make_songs
	$(PYTHON) tests/bench/reproducible.py $(BIN)/trainer $(BIN)/preprocess $(BUILD)/tests/helpers/make_songs

## bench-size: time and memory of preprocess on 25,000 to 200,000 files
.PHONY: bench-size
bench-size: $(BIN)/preprocess $(BUILD)/tests/bench/make_corpus
	$(PYTHON) tests/bench/corpus_size.py $^

## bench-ranks: what a second rank and a second host bring, beside PyTorch's DDP (root for hosts; ONLY=1gbit)
.PHONY: bench-ranks
ONLY ?= host pytorch 10gbit 1gbit 10gbit-sync 1gbit-sync
bench-ranks: programs $(BUILD)/tests/bench/bench_exchange $(BUILD)/tests/helpers/make_songs
	mpirun -n 2 $(BUILD)/tests/bench/bench_exchange
	$(PYTHON) tests/bench/ranks.py $(BIN) $(BUILD) --only $(ONLY)

$(BUILD)/tests/bench/load_libsmf: $(BUILD)/tests/bench/load_libsmf.o
	$(call quiet,LD) $(LINK) -o $@ $^ $(SMF_LIBS) $(GLIB_LIBS)

## simulate: how the exchange scales on simulated clusters (SimGrid), and its calibration here (as root)
.PHONY: simulate simulated
SIMULATED := build/simulate/play
simulate: simulated $(addprefix $(BUILD)/tests/simulate/,play profile costs)
	@./deps scale
	$(PYTHON) tests/simulate/simulate.py $(BUILD) $(SIMULATED) $(SIMULATE)

# The exchange as SimGrid's MPI runs it: built by its compiler, with some functions replaced (simulated.c).
SIMULATED_SOURCES := $(addprefix tests/simulate/,play.c simulated.c) preprocess/common/program.c \
                     $(patsubst %,trainer/parallel/%.c,comm launcher watch bf16 sum_order exchange \
                       exchange_host exchange_plan exchange_wire)
REPLACED := MPI_Init_thread MPI_Send_init MPI_Recv_init MPI_Startall MPI_Testsome MPI_Test sched_yield \
            sum_order_new sum_order_run layers_squared_norm layers_new_block bf16_pack bf16_unpack \
            g_malloc0 g_malloc0_n g_free
simulated: $(SIMULATED)
$(SIMULATED): $(SIMULATED_SOURCES) $(wildcard trainer/parallel/*.h tests/simulate/*.h)
	@mkdir -p $(@D)
	@command -v smpicc >/dev/null || ./deps scale
	$(call quiet,SMPICC) smpicc -std=gnu11 -O2 -fPIC -D_GNU_SOURCE -DMPIANIST_VERSION='"$(VERSION)"' -I. \
	  $(GLIB_CFLAGS) $(addprefix -Wl$(comma)--wrap=,$(REPLACED)) -o $@ $(SIMULATED_SOURCES) $(GLIB_LIBS) -lm

## golden: make tests/golden again (needs PyTorch)
.PHONY: golden
golden:
	$(PYTHON) tests/golden/make_golden.py
	$(PYTHON) tests/golden/make_golden_sequence.py

## install: to PREFIX (/usr/local), honouring DESTDIR
.PHONY: install
install: programs
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 share/mpianist/slurm)
	install -m 644 slurm/* $(DESTDIR)$(PREFIX)/share/mpianist/slurm
	for p in preprocess trainer sampler; do \
	  install -m 755 $(BIN)/$$p $(DESTDIR)$(PREFIX)/bin/mpianist-$$p && \
	  install -m 644 docs/mpianist-$$p.1 $(DESTDIR)$(PREFIX)/share/man/man1/ || exit 1; done

## uninstall: remove what install wrote
.PHONY: uninstall
uninstall:
	for p in preprocess trainer sampler; do \
	  rm -f $(DESTDIR)$(PREFIX)/bin/mpianist-$$p $(DESTDIR)$(PREFIX)/share/man/man1/mpianist-$$p.1; done
	rm -rf $(DESTDIR)$(PREFIX)/share/mpianist

## format: lay out the sources by .clang-format
.PHONY: format
format:
	clang-format -i $(wildcard $(addprefix */,*.c *.h */*.c */*.h))

## clean: remove build/
.PHONY: clean
clean:
	rm -rf build

## help: this list
.PHONY: help
help:
	@echo "mpianist $(VERSION)"
	@sed -n 's/^## \([a-z-]*\): \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:
-include $(wildcard $(addprefix $(BUILD)/,*/*.d */*/*.d))
