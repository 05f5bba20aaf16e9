# vitx: Vision Transformers that say why. `make help` lists the targets, `make V=1` shows commands.

CONFIG   ?= release
comma    := ,
SPACE    := $(subst ,, )
PREFIX   ?= /usr/local
LIBDIR   ?= $(PREFIX)/lib
VERSION  := $(shell sed -n 's/^.define VITX_VERSION "\(.*\)"/\1/p' include/vitx/base.h)
SOMAJOR  := $(word 1,$(subst ., ,$(VERSION)))
SONAME   := libvitx.so.$(SOMAJOR)
DATADIR  ?= $(PREFIX)/share/vitx
DEMO_OUT ?= build/demo
B        := build/$(CONFIG)
# Release products lie in build/ itself, those of other configurations beside their objects.
OUT      := $(if $(filter release,$(CONFIG)),build,$(B))
Q        := $(if $(V),,@)
PKG      := pkg-config
STRIP    ?= strip
# Kinds of pictures that a library decodes: its package for pkg-config, the least version, the file
# of lib/image. Those that are found are built in, unless WITHOUT names them: make WITHOUT="WEBP".
DECODERS := WEBP:libwebp:1.0:webp TIFF:libtiff-4:4.5:tiff AVIF:libavif:0.11:avif HEIF:libheif:1.15:heif
WITHOUT  ?=
part      = $(word $(1),$(subst :, ,$(2)))
found     = $(shell $(PKG) --atleast-version=$(call part,3,$(1)) $(call part,2,$(1)) 2>/dev/null && echo $(1))
PICTURES := $(foreach d,$(DECODERS),$(if $(filter $(WITHOUT),$(call part,1,$(d))),,$(call found,$(d))))
PACKAGES := libcjson zlib libpng nettle libutf8proc $(foreach d,$(PICTURES),$(call part,2,$(d)))
# What vitx-cli alone links, in the same form, with the files of tools/cli that need it.
EXTRAS   := ARCHIVE:libarchive:3.4:batch/archive.c HTTP:libmicrohttpd:0.9.75:serve/%
PARTS    := $(foreach d,$(EXTRAS),$(if $(filter $(WITHOUT),$(call part,1,$(d))),,$(call found,$(d))))

# -------------------------------------------------- what is here ---------------------------
# What is missing is installed by one script, which the first target of a run calls.
export WITHOUT
MISSING  := $(shell tools/install-deps.sh --missing)
MACHINE  := $(shell $(CC) -dumpmachine)
X86      := $(filter x86_64%,$(MACHINE))
# The plug-in for GPUs is built if there is an nvcc, unless CUDA=0.
CUDA     ?= 1
CUDA_TARGETS ?= 80 90
CUDA_NVCC := $(if $(filter-out 0,$(CUDA)),$(shell command -v nvcc 2>/dev/null))
# OpenBLAS is loaded when a context is created (docs/performance.md says why): what is needed
# here is the name under which the loader finds the library that pkg-config knows.
BLAS_SO  := $(if $(MISSING),,$(shell tools/soname.sh "$(CC)" openblas cblas_sgemm))

# -------------------------------------------------- how it is built ------------------------
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wmissing-prototypes -Wvla -Wstrict-prototypes
OPTIMISE := -O2 -g
CFLAGS   ?=
FLAGS_release :=
# Sanitizers name functions and lines, not variables: -g1 is enough, and a fifth quicker to compile.
# With -O2 the address sanitizer takes more than twice as long to compile the kernels.
FLAGS_debug   := -O0
FLAGS_asan    := -O1 -g1 -fsanitize=address,undefined -fno-sanitize-recover=all \
    -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g1 -fsanitize=thread
FLAGS_fuzz    := -O1 -g1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE := $(FLAGS_$(CONFIG))
# The shared library without padding between its parts (two pages less) and, if the C library can
# load it so (glibc 2.36), with its many relative relocations packed (a twentieth less).
PACKED   := $(shell getconf GNU_LIBC_VERSION 2>/dev/null | awk '$$2 >= 2.36' | grep -q . && \
    $(CC) -Wl,--help 2>/dev/null | grep -o -m 1 pack-relative-relocs)
# Its code without tables for unwinding (an eighth of the library): no exception passes through C, and
# debuggers have .debug_frame. CFLAGS=-fasynchronous-unwind-tables brings them back for profilers.
PLAIN    := $(if $(filter release,$(CONFIG)),-fno-asynchronous-unwind-tables)
COMPACT  := $(if $(X86),-Wl$(comma)-z$(comma)noseparate-code) $(addprefix -Wl$(comma)-z$(comma),$(PACKED))
DEFINES  := -DVX_OPENBLAS_SONAME='"$(BLAS_SO)"' $(foreach d,$(PICTURES) $(PARTS),-DVX_WITH_$(call part,1,$(d)))
CLI_PACKAGES := $(foreach d,$(PARTS),$(call part,2,$(d)))
INCLUDES := -Iinclude -Ilib -I. $(if $(MISSING),,$(shell $(PKG) --cflags $(PACKAGES) $(CLI_PACKAGES)))
ALL_CFLAGS := -std=c11 $(OPTIMISE) $(WARNINGS) -fPIC -fvisibility=hidden -pthread $(INCLUDES) $(DEFINES) $(PLAIN) $(SANITIZE)
LIBS     := $(if $(MISSING),,$(shell $(PKG) --libs $(PACKAGES))) -lm -ldl -pthread
CLI_LIBS := $(if $(MISSING)$(if $(CLI_PACKAGES),,none),,$(shell $(PKG) --libs $(CLI_PACKAGES)))
CHECK_LIBS = $(shell $(PKG) --libs check)

LIB_SRC  := $(sort $(filter-out $(foreach d,$(filter-out $(PICTURES),$(DECODERS)),lib/image/$(call part,4,$(d)).c), \
            $(wildcard lib/*/*.c kernels/*.c kernels/*/*.c)))
CLI_SRC  := $(sort $(filter-out $(foreach d,$(filter-out $(PARTS),$(EXTRAS)),tools/cli/$(call part,4,$(d))), \
            $(wildcard tools/cli/*.c tools/cli/*/*.c)))
SCENE_SRC := $(sort $(wildcard tools/scenes/*.c tools/scenes/shapes/*.c))
TEST_SRC := $(sort $(wildcard test/test_*.c))
# The report page, in the order in which its scripts become one; tools/embed puts it into C.
PAGE     := $(addprefix lib/report/page/,page.html page.css picture.css panels.css \
            small.css words.js terms.js colours.js colour.js data.js \
            state.js ui.js stage.js sentence.js why.js attention.js bench.js foot.js controls.js main.js)
# The page of vitx-cli batch --gallery, which has parts in common with it.
GALLERY  := $(addprefix tools/cli/batch/gallery/,page.html) lib/report/page/page.css \
            $(addprefix tools/cli/batch/gallery/,gallery.css words.js) \
            $(addprefix lib/report/page/,colours.js colour.js ui.js) \
            $(addprefix tools/cli/batch/gallery/,data.js view.js card.js wall.js detail.js main.js)
# The start page of vitx-cli serve, in the same way.
START    := $(addprefix tools/cli/serve/page/,start.html start.css words.js start.js)
# The kernels for GPUs, which are compiled twice: by nvcc for the plug-in, and by the C++ compiler as
# the host twin (docs/cuda.md), for tests alone.
CUDA_SRC := $(sort $(wildcard kernels/cuda/*.cu))
TWIN_SRC := $(filter-out %_cuda.cu,$(CUDA_SRC)) $(sort $(wildcard kernels/cuda/host/*.cpp))
TWIN_OBJ := $(addprefix $(B)/twin/,$(addsuffix .o,$(basename $(TWIN_SRC))))
TWIN_TEST := $(patsubst %.cu,$(B)/twin/%.o,$(sort $(wildcard test/cuda/*.cu)))
CUDA_OBJ := $(CUDA_SRC:%.cu=$(B)/cuda/%.o)
PLUGIN   := $(OUT)/libvitx-cuda.so.$(SOMAJOR)
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o) $(B)/lib/report/page_data.o
CLI_OBJ  := $(CLI_SRC:%.c=$(B)/%.o) $(B)/tools/cli/batch/gallery_page.o \
    $(if $(filter HTTP:%,$(PARTS)),$(addprefix $(B)/tools/cli/serve/,start_data.o openapi_data.o))
SCENE_OBJ := $(SCENE_SRC:%.c=$(B)/%.o)
# The scenes without their program, for others that draw them.
DRAW_OBJ := $(filter-out %/main.o %/png.o,$(SCENE_OBJ))
TESTS    := $(TEST_SRC:test/%.c=$(B)/%)
SUPPORT  := $(patsubst %.c,$(B)/%.o,$(filter-out $(TEST_SRC),$(wildcard test/*.c)))
FUZZ_SRC := $(sort $(filter-out $(if $(filter AVIF:% HEIF:%,$(PICTURES)),,%/fuzz_heif.c),$(wildcard test/fuzz/fuzz_*.c)))
REPLAYS  := $(FUZZ_SRC:test/fuzz/fuzz_%.c=$(B)/replay_%)
FUZZERS  := $(FUZZ_SRC:test/fuzz/fuzz_%.c=$(B)/fuzz_%)
FUZZ_OBJ := $(B)/test/fuzz/fuzz.o $(B)/test/archive.o
EXAMPLES := $(B)/example_c $(B)/example_report $(B)/example_words $(B)/example_cpp $(B)/face $(B)/plugin_user
ABIS     := $(addprefix $(B)/test/plugin/,abi.o abi_version.o abi_struct.o)
DEPS     := $(LIB_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(SCENE_OBJ:.o=.d) $(TEST_SRC:%.c=$(B)/%.d) $(SUPPORT:.o=.d) $(B)/test/serve/bed.d $(FUZZ_SRC:%.c=$(B)/%.d) $(B)/test/fuzz/fuzz.d $(B)/test/fuzz/replay.d \
    $(TWIN_OBJ:.o=.d) $(TWIN_TEST:.o=.d) $(CUDA_OBJ:.o=.d) $(ABIS:.o=.d) \
    $(addprefix $(B)/test/plugin/,fake.d twin.d)
.SECONDARY: $(TEST_SRC:%.c=$(B)/%.o) $(SUPPORT) $(FUZZ_SRC:%.c=$(B)/%.o) $(FUZZ_OBJ) $(B)/test/fuzz/replay.o

ifneq ($(MISSING),)
# ------------------------------------- something is missing: install it, then start again --
GOALS := $(filter-out help clean,$(or $(MAKECMDGOALS),all))
.PHONY: $(GOALS) install-deps
.NOTPARALLEL:
$(GOALS): install-deps
	$(Q)VITX_INSTALLED=1 $(MAKE) --no-print-directory $@
install-deps:
	$(Q)tools/install-deps.sh
else

.PHONY: all demo check check-page check-serve asan tsan fuzz fuzz-ci fuzzers bench install uninstall format lint info tests threaded
all: $(OUT)/libvitx.a $(OUT)/libvitx.so $(OUT)/vitx-cli $(OUT)/vitx-scenes $(if $(CUDA_NVCC),$(filter build/lib%,$(PLUGIN)))  ## build the library, vitx-cli and vitx-scenes

$(OUT)/libvitx.a: $(LIB_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What everything is built with; another compiler or other flags build everything again.
BUILT_WITH = $(CC) $(CXX) $(CUDA_NVCC) $(ALL_CFLAGS) $(CFLAGS) $(LDFLAGS) $(CLI_LIBS) $(LIBS) $(TWIN_FLAGS) \
    $(NVCC_FLAGS)
$(B)/flags: FORCE
	@mkdir -p $(@D) && printf '%s\n' '$(subst ','\'',$(BUILT_WITH))' > $@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
FORCE:

$(OUT)/libvitx.so: $(LIB_OBJ)
	@echo "  LINK  $@"
	$(Q)$(CC) -shared $(SANITIZE) $(COMPACT) -Wl,-soname,$(SONAME) $(LDFLAGS) -o $@ $^ $(LIBS)
	$(Q)ln -sf libvitx.so $(OUT)/$(SONAME)

$(OUT)/vitx-cli: $(CLI_OBJ) $(DRAW_OBJ) $(OUT)/libvitx.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(CLI_LIBS) $(LIBS)

$(OUT)/vitx-scenes: $(SCENE_OBJ)
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ -lm

# Scenes are the same bytes on every machine: no multiplication is fused with an addition.
$(SCENE_OBJ): OWN = -ffp-contract=off

# Most of lib/ is compiled to be small: it runs once for a file, a call or a block, or it is as fast so.
HOT := $(addprefix lib/,$(addsuffix .c,base/pool text/added text/bpe text/chars text/encode text/normalise text/pretokenise text/tokens text/unicode text/unigram text/vocab text/wordpiece words/scores explain/lanczos explain/rise measure/tally report/code report/escape report/fused))
# Half the time of the tests that compare with the reference is in these.
HOT += $(addprefix kernels/ref/,attention.c attention_bwd.c linear.c)
COOL := $(patsubst %.c,$(B)/%.o,$(filter-out $(HOT) kernels/cpu/%,$(LIB_SRC)))
SMALL_release := $(shell $(CC) -Oz -E -x c /dev/null > /dev/null 2>&1 && echo -Oz || echo -Os)
SMALL := $(SMALL_$(CONFIG))
$(COOL): OWN = $(SMALL)
$(filter $(B)/lib/image/% $(B)/kernels/%,$(COOL)): OWN = $(SMALL:-Oz=-Os)

# Loops over the weights of all heads: several at once (sqrtf has no errno to set), as clang does by itself.
VECTORS := $(shell $(CC) -fvect-cost-model=dynamic -E -x c /dev/null > /dev/null 2>&1 && echo -ftree-vectorize -fvect-cost-model=dynamic)
$(B)/lib/report/code.o $(B)/lib/report/fused.o: OWN = -fno-math-errno $(VECTORS)
# Dot products of many vectors.
$(B)/lib/words/scores.o: OWN = $(VECTORS)

# The vectors that any processor has: on x86 hardly a processor is left that has no better ones.
$(B)/kernels/cpu/kernels_any.o: OWN = $(if $(X86),$(SMALL:-Oz=-Os))

# Vector code is compiled for its instruction set by the ending of its file name and chosen when
# the program runs; everything else is for any processor of the kind.
%_avx2.o %_avx2.tidy:     OWN = $(if $(X86),-mavx2 -mfma -mf16c)
%_avx512.o %_avx512.tidy: OWN = $(if $(X86),$(AVX512))
AVX512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
%_vnni.o %_vnni.tidy:     OWN = $(if $(X86),$(AVX512) -mavx512vnni)
%_bf16.o %_bf16.tidy:     OWN = $(if $(X86),$(AVX512) -mavx512bf16)
%_amx.o %_amx.tidy:       OWN = $(if $(X86),$(AVX512) -mamx-tile -mamx-int8 -mamx-bf16)
# stb_image_write shifts bits out of an int, which -fwrapv defines.
$(B)/lib/report/jpeg.o lib/report/jpeg.tidy: OWN = $(SMALL:-Oz=-Os) -fwrapv
$(B)/tools/cli/batch/jpeg.o tools/cli/batch/jpeg.tidy: OWN = -fwrapv
# Where the bundled model is looked for when it is not beside the program (tools/cli/bundled.h).
# That PREFIX may come later, with `make install`, is why it is looked for beside it first.
%/bundled.o %/bundled.tidy: OWN = -DVITX_BUNDLED='"$(DATADIR)"'
# Where the plug-in of the device cuda is looked for at last; what both sides have to agree about.
PLUGIN_DEFINES := -DVX_VERSION='"$(VERSION)"'
$(B)/kernels/plugin.o kernels/plugin.tidy: OWN = $(SMALL) $(PLUGIN_DEFINES) \
    -DVX_PLUGIN_FILE='"$(notdir $(PLUGIN))"' -DVX_PLUGIN_FOLDER='"$(LIBDIR)/vitx"'
$(B)/%.o: %.c $(B)/flags
	@echo "  CC    $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(UNWATCHED) $(OWN) $(CFLAGS) -MMD -MP -c -o $@ $<

# It runs while building, so no sanitizer: its memory goes with it.
$(B)/embed: tools/embed/embed.c $(B)/flags
	@echo "  CC    $<"
	$(Q)$(CC) -std=c11 $(OPTIMISE) $(WARNINGS) $(INCLUDES) $(CFLAGS) $(LDFLAGS) -o $@ $< $(shell $(PKG) --libs nettle zlib)
$(B)/lib/report/page_data.c: $(B)/embed $(PAGE) Makefile
	@mkdir -p $(@D)
	$(Q)$(B)/embed $@ $(PAGE)
$(B)/tools/cli/batch/gallery_page.c: $(B)/embed $(GALLERY) Makefile
	@mkdir -p $(@D)
	$(Q)$(B)/embed --gallery $@ $(GALLERY)
$(B)/tools/cli/serve/start_data.c: $(B)/embed $(START) Makefile
	@mkdir -p $(@D)
	$(Q)$(B)/embed --page serve_start $@ $(START)
$(B)/tools/cli/serve/openapi_data.c: $(B)/embed tools/cli/serve/page/openapi.json
	@mkdir -p $(@D)
	$(Q)$(B)/embed --file serve_openapi $@ tools/cli/serve/page/openapi.json
$(B)/lib/report/page_data.o $(B)/tools/cli/batch/gallery_page.o $(B)/tools/cli/serve/start_data.o \
    $(B)/tools/cli/serve/openapi_data.o: %.o: %.c
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# ------------------------------------- the kernels for GPUs, twice ------------------------
# C++ without its library: no exceptions, no types at run time, so that C programs link it.
CXX_PLAIN := -fno-exceptions -fno-rtti -fno-threadsafe-statics
TWIN_FLAGS = -std=c++17 $(CXX_PLAIN) $(OPTIMISE) $(TWIN_FUSED) -Wall -Wextra -Wshadow -fPIC -fvisibility=hidden -pthread -I. $(PLUGIN_DEFINES) \
    $(if $(filter tsan,$(CONFIG)),-DVX_UNDER_TSAN=1) $(filter-out $(TWIN_PLAIN),$(TWIN_SANITIZE)) $(filter-out -std=%,$(CFLAGS))
# The kernels ask for fused multiply-adds by name: without the instruction each is a call. The twin runs
# where it was built, so it may have what this processor has; its bits stay those of any processor.
TWIN_FUSED := $(if $(X86),$(shell grep -qw fma /proc/cpuinfo 2>/dev/null && echo -mfma -ffp-contract=off))
# Some checks of the undefined behaviour sanitizer need the library of C++.
TWIN_SANITIZE = $(SANITIZE) $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize=vptr $(NO_FUNCTION))
NO_FUNCTION := $(shell $(CXX) -fno-sanitize=function -E -x c++ /dev/null > /dev/null 2>&1 && echo -fno-sanitize=function)
# The machine switches stacks and is what orders memory, so the thread sanitizer is told by it, and
# does not look at it.
MACHINE_OBJ := $(addprefix $(B)/twin/kernels/cuda/host/,machine.o memory.o fiber.o warp.o)
$(MACHINE_OBJ): TWIN_PLAIN = -fsanitize=thread
# Inputs and variants of a picture have the host's bits: no product is joined with a sum.
EXACT := $(addprefix kernels/cuda/,op_resample.o op_variants.o)
$(addprefix $(B)/twin/,$(EXACT)): OWN = -ffp-contract=off
$(addprefix $(B)/cuda/,$(EXACT)): OWN = -fmad=false
$(B)/twin/%.o: %.cu $(B)/flags
	@echo "  CXX   $<"
	@mkdir -p $(@D)
	$(Q)$(CXX) $(TWIN_FLAGS) $(OWN) -MMD -MP -c -o $@ -x c++ $<
$(B)/twin/%.o: %.cpp $(B)/flags
	@echo "  CXX   $<"
	@mkdir -p $(@D)
	$(Q)$(CXX) $(TWIN_FLAGS) -MMD -MP -c -o $@ $<
$(B)/libtwin.a: $(TWIN_OBJ)
	@echo "  AR    $@"
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# For GPUs from compute capability 8.0 on: code for CUDA_TARGETS (80 is for all 8.x), and PTX for what
# comes later. The PTX is made once for all: no kernel uses what 9.0 alone has. What ptxas says of
# registers is kept beside each object; test/cuda.sh reads it.
NVCC_CODE := $(subst $(SPACE),$(comma),$(addprefix sm_,$(CUDA_TARGETS)) compute_80)
NVCC_FLAGS = -std=c++17 -O3 -I. $(PLUGIN_DEFINES) -gencode arch=compute_80,code=[$(NVCC_CODE)] -Werror all-warnings -Xptxas -v -Xfatbin -compress-all -Xcompiler \
    -Wall,-Wextra,-O2,-fPIC,-fvisibility=hidden,$(subst $(SPACE),$(comma),$(CXX_PLAIN))
$(B)/cuda/%.o: %.cu $(B)/flags
	@echo "  NVCC  $<"
	@mkdir -p $(@D)
	$(Q)$(CUDA_NVCC) $(NVCC_FLAGS) $(OWN) -MMD -MP -c -o $@ $< 2> $(@:.o=.ptxas) || \
	    { cat $(@:.o=.ptxas) >&2; exit 1; }
# cudart lies beside nvcc, in one of two folders.
NVCC_LIBS = $(addprefix -L,$(wildcard $(addprefix $(dir $(realpath $(CUDA_NVCC)))../,lib64 lib targets/*/lib)))
# cuBLASLt is opened by its name: beside the plug-in, in NVIDIA's Python packages, and where nvcc's is.
PLUGIN_PATHS = $$ORIGIN:$$ORIGIN/../nvidia/cu13/lib$(subst $(SPACE),,$(patsubst -L%,:%,$(NVCC_LIBS)))
$(PLUGIN): $(CUDA_OBJ)
	@echo "  LINK  $@"
	$(Q)$(CC) -shared $(LDFLAGS) -Wl,-soname,$(@F) -o $@ $^ $(NVCC_LIBS) -lcudart_static -lm -lrt -ldl -pthread \
	    -Wl,-z,defs -Wl,--exclude-libs,ALL -Wl,--enable-new-dtags,-rpath,'$(PLUGIN_PATHS)'

$(B)/test_%: $(B)/test/test_%.o $(SUPPORT) $(B)/libtwin.a $(OUT)/libvitx.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) $(WRAP) -o $@ $(filter-out %.a,$^) $(filter %.a,$^) $(CHECK_LIBS) $(LIBS)

# It draws, and sees to it that memory runs out.
$(B)/test_scenes $(B)/test_sentences: $(DRAW_OBJ)
$(B)/test_scenes: WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=free

# It says what the processor has, and whether the system lets the process use tiles.
$(B)/test_panels: WRAP = -Wl,--wrap=vx_cpu_features,--wrap=vx_cpu_allow_tiles

# Kernels of its own, right ones and wrong ones.
$(B)/test_cuda_machine: $(TWIN_TEST)

# A part of the tool that has tests of its own.
$(B)/test_parallel: $(B)/tools/cli/parallel.o $(B)/tools/cli/say.o
$(B)/test_search: $(addprefix $(B)/tools/cli/,search/index.o search/index_open.o search/index_write.o search/index_tidy.o search/sum.o text.o progress.o say.o)
$(B)/test_gallery: $(addprefix $(B)/tools/cli/,batch/gallery_sheet.o batch/gallery_page.o batch/thumbnail.o batch/jpeg.o text.o)
$(B)/test_pipeline: $(addprefix $(B)/tools/cli/,pipeline.o parallel.o progress.o say.o)
# What answers the requests of a server, without what speaks HTTP, and the commands whose options it takes.
SERVE_ASKED := $(addprefix tools/cli/cmd_,classify.c embed.c explain.c) $(filter-out %/main.c tools/cli/cmd_% tools/cli/eval_%,$(wildcard tools/cli/*.c)) \
    $(addprefix tools/cli/serve/,answer.c ask.c ask_texts.c cache.c encode.c formats.c jobfiles.c jobs.c metrics.c name.c outcome.c problem.c queue.c sniff.c texts.c together.c work.c worker.c)
$(B)/test_serve_work $(B)/test_serve_texts: $(B)/test/serve/bed.o $(SERVE_ASKED:%.c=$(B)/%.o)
$(B)/test_serve_work $(B)/test_serve_texts: WRAP = -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
# What reads the words of clients.
SERVE_READ := $(addprefix $(B)/tools/cli/serve/,base64.o fields.o media.o multipart.o problem.o sniff.o) $(addprefix $(B)/tools/cli/,json.o text.o)
$(B)/test_serve_parts: $(SERVE_READ) $(addprefix $(B)/tools/cli/,serve/gate.o digest.o say.o)
$(B)/replay_multipart $(B)/fuzz_multipart: $(SERVE_READ)

# What no fuzz target runs is compiled for them as quickly as can be, with the warnings that are the same.
ifeq ($(CONFIG),fuzz)
$(filter-out $(SERVE_READ) $(addprefix $(B)/,lib/base/% lib/engine/% lib/image/% lib/model/% lib/text/% kernels/ref/%) \
    $(patsubst %.c,$(B)/%.o,$(wildcard kernels/*.c)),$(LIB_OBJ) $(CLI_OBJ) $(SCENE_OBJ)): UNWATCHED = -fno-sanitize=all
endif

# Plug-ins of tests: the reference and the twin as the device cuda, and a library that is none.
FAKES := $(addprefix $(B)/plugin/,libvitx-fake.so libvitx-twin.so libvitx-nothing.so)
$(B)/test/test_plugin.o $(addprefix $(B)/test/plugin/,fake.o twin.o): OWN = $(PLUGIN_DEFINES)
# What the plug-in's compiler sees, and what that of a plug-in of another version, or of other structs, would.
%/abi_version.o: ABI = -UVX_VERSION -DVX_VERSION='"0.0"' -Dabi_of_cpp=abi_of_version
%/abi_struct.o: ABI = -Dsequences='sequences, more' -Dabi_of_cpp=abi_of_struct
$(ABIS): test/plugin/abi.cpp $(B)/flags
	@echo "  CXX   $<"
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++17 -Wall -Wextra -Wshadow $(INCLUDES) $(PLUGIN_DEFINES) $(SANITIZE) $(CFLAGS) $(ABI) -MMD -MP -c -o $@ $<
$(B)/plugin/libvitx-fake.so: $(B)/test/plugin/fake.o $(filter $(B)/kernels/ref/%,$(LIB_OBJ))
$(B)/plugin/libvitx-twin.so: $(B)/test/plugin/twin.o $(TWIN_OBJ)
$(FAKES): $(B)/kernels/host.o
	@echo "  LINK  $@"
	@mkdir -p $(@D)
	$(Q)$(CC) -shared $(SANITIZE) $(LDFLAGS) -o $@ $^ -lm -pthread
$(B)/test_plugin: $(ABIS) | $(FAKES)

# Clients of vitx-cli serve, for test/cli_serve.sh and for measuring.
HTTP_CLIENTS := $(if $(filter HTTP:%,$(PARTS)),$(B)/serve_client $(B)/serve_load)
$(B)/serve_client: test/serve/client.c $(B)/flags
$(B)/serve_load: tools/bench/load.c $(B)/flags
$(B)/serve_client $(B)/serve_load:
	@echo "  CC    $<"
	$(Q)$(CC) -std=c11 $(OPTIMISE) $(WARNINGS) $(CFLAGS) $(LDFLAGS) -o $@ $<

# Tokens of texts on stdin, for tools/golden/check_text.py.
$(B)/tokenize: test/text/tokenize.c $(OUT)/libvitx.a $(B)/flags
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(OUT)/libvitx.a $(LIBS)

# Fuzz targets: with the corpus as input (make check), and driven by clang's libFuzzer (make fuzz).
$(B)/replay_%: $(B)/test/fuzz/fuzz_%.o $(FUZZ_OBJ) $(B)/test/fuzz/replay.o $(OUT)/libvitx.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIBS)

$(B)/fuzz_%: $(B)/test/fuzz/fuzz_%.o $(FUZZ_OBJ) $(OUT)/libvitx.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(SANITIZE) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

# The examples see what a user sees: the public headers and the shared library.
$(EXAMPLES): $(wildcard include/vitx/*) $(OUT)/libvitx.so
C_USER = $(Q)$(CC) -std=c11 $(WARNINGS) $(SANITIZE) -Iinclude -o $@ $< -L$(OUT) -lvitx -Wl,-rpath,$(abspath $(OUT))
$(B)/example_c: docs/examples/example.c
	$(C_USER)
$(B)/example_report: docs/examples/report.c
	$(C_USER)
$(B)/example_words: docs/examples/words.c
	$(C_USER)
$(B)/plugin_user: test/plugin/user.c
	$(C_USER)
CXX_USER = $(Q)$(CXX) -std=c++11 -Wall -Wextra -Wpedantic $(SANITIZE) -Iinclude -o $@ $< -L$(OUT) -lvitx -Wl,-rpath,$(abspath $(OUT))
$(B)/example_cpp: docs/examples/example.cpp
	$(CXX_USER)
$(B)/face: test/face.cpp
	$(CXX_USER)

demo: all                                                      ## explain a few pictures with the bundled model, into DEMO_OUT
	$(Q)tools/demo.sh $(OUT)/vitx-cli docs/images/scenes "$(DEMO_OUT)"

tests: all $(TESTS) $(REPLAYS) $(EXAMPLES) $(HTTP_CLIENTS) $(B)/tokenize
# Those that run.sh --threads runs.
threaded: $(patsubst test/%.c,$(B)/%,$(shell grep -l VX_TEST_THREADS $(TEST_SRC))) $(OUT)/vitx-cli $(HTTP_CLIENTS)
check: tests                                                   ## build and run all tests
	$(Q)test/run.sh $(OUT) $(B)

check-page: all                                                ## test the report page in a real browser (fetches Playwright and Chromium)
	$(Q)test/page/check.sh

check-serve: all                                               ## test vitx-cli serve with other people's clients (fetches them by pip)
	$(Q)test/serve/check.sh $(OUT)

# Without a process for each test: a sanitizer ends the program at its first find, and a fork of all its
# shadow memory costs more than most tests.
asan:                                                          ## all tests under the address and undefined-behaviour sanitizers
	$(Q)CK_FORK=no $(MAKE) --no-print-directory CONFIG=asan check

tsan:                                                          ## the threaded tests under the thread sanitizer
	$(Q)$(MAKE) --no-print-directory CONFIG=tsan threaded
	$(Q)test/run.sh --threads build/tsan build/tsan

fuzzers: $(FUZZERS)
fuzz:                                                          ## fuzz files and pictures until stopped, with clang (FUZZ=name: one target)
	$(Q)$(MAKE) --no-print-directory CC=clang CONFIG=fuzz fuzzers
	$(Q)test/fuzz/run.sh build/fuzz

# As CI does it, two at a time.
FUZZ_SECONDS ?= 20
fuzz-ci:
	$(Q)$(MAKE) --no-print-directory CC=clang CONFIG=fuzz fuzzers
	$(Q)JOBS=2 test/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)

# What OpenBLAS alone takes for a forward pass's matrix products: the yardstick of docs/performance.md.
$(OUT)/products: tools/bench/products.c
	$(Q)$(CC) -std=c11 $(OPTIMISE) $(WARNINGS) $(INCLUDES) -o $@ $< $(shell $(PKG) --libs openblas)

# Many texts, beside PyTorch's: tools/bench/texts.py.
$(OUT)/texts: tools/bench/texts.c $(OUT)/libvitx.a
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $^ $(LIBS)

bench: all $(B)/test_kernels                                   ## time every kernel, and the forward pass of the bundled model or MODEL=folder
	$(Q)$(B)/test_kernels --bench
	$(Q)$(OUT)/vitx-cli bench $(if $(MODEL),-m $(MODEL))

# The bundled model, and what `make demo` needs of it.
BUNDLED := $(addprefix weights/scenes/,model.safetensors config.json labels.zh.txt README.md)
# The pair of towers for pictures and sentences, and what makes sentences of names.
PAIR := $(addprefix weights/pair/,model.safetensors config.json preprocessor_config.json tokenizer.json \
    tokenizer_config.json README.md)
TEMPLATES := $(sort $(wildcard weights/templates/*))
DEMO    := $(addprefix docs/images/scenes/,one.png one.1.png two.png two.1.png two.2.png \
    wrong.png wrong.1.png objects.txt)

# Of vitx-cli serve, for systemd.
UNITS := vitx-serve.service vitx-serve.socket

# Where kernels/plugin.c looks for it.
PLUGINS := $(DESTDIR)$(LIBDIR)/vitx

install: all                                                   ## install under PREFIX (default /usr/local), DESTDIR honoured
	$(Q)install -d $(DESTDIR)$(PREFIX)/include/vitx $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 644 include/vitx/*.h include/vitx/*.hpp $(DESTDIR)$(PREFIX)/include/vitx
	$(Q)install -m 644 $(OUT)/libvitx.a $(DESTDIR)$(LIBDIR)
	$(Q)install -m 755 $(OUT)/libvitx.so $(DESTDIR)$(LIBDIR)/libvitx.so.$(VERSION)
	$(Q)$(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/libvitx.so.$(VERSION)
	$(Q)ln -sf libvitx.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	$(Q)ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libvitx.so
	$(Q)install -m 755 $(OUT)/vitx-cli $(OUT)/vitx-scenes $(DESTDIR)$(PREFIX)/bin
	$(Q)if [ "$(CUDA)" != 0 ] && [ -e $(PLUGIN) ]; then install -d $(PLUGINS) && \
	    install -m 755 $(PLUGIN) $(PLUGINS) && $(STRIP) --strip-unneeded $(PLUGINS)/$(notdir $(PLUGIN)); fi
	$(Q)install -d $(addprefix $(DESTDIR)$(DATADIR)/,scenes pair templates demo)
	$(Q)install -m 644 $(BUNDLED) $(DESTDIR)$(DATADIR)/scenes
	$(Q)install -m 644 $(PAIR) $(DESTDIR)$(DATADIR)/pair
	$(Q)install -m 644 $(TEMPLATES) $(DESTDIR)$(DATADIR)/templates
	$(Q)install -m 644 $(DEMO) $(DESTDIR)$(DATADIR)/demo
	$(Q)install -m 755 tools/demo.sh $(DESTDIR)$(DATADIR)/demo
	$(Q)for unit in $(UNITS); do sed -e 's|/usr/local/bin|$(PREFIX)/bin|;s|/usr/local/share/vitx|$(DATADIR)|' \
	    tools/serve/$$unit > $(DESTDIR)$(DATADIR)/$$unit; done
	$(Q)install -m 644 docs/serve.md $(DESTDIR)$(DATADIR)
	$(Q)for name in vitx vitx-static; do sed -e 's|@PREFIX@|$(PREFIX)|;s|@LIBDIR@|$(LIBDIR)|;s|@VERSION@|$(VERSION)|;s|@LIBS@|$(LIBS)|' \
	    tools/$$name.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/$$name.pc; done

uninstall:                                                     ## remove what install put there
	$(Q)rm -rf $(DESTDIR)$(PREFIX)/include/vitx
	$(Q)rm -f $(DESTDIR)$(LIBDIR)/libvitx.a $(DESTDIR)$(LIBDIR)/libvitx.so* \
	    $(DESTDIR)$(LIBDIR)/pkgconfig/vitx*.pc $(DESTDIR)$(PREFIX)/bin/vitx-cli $(DESTDIR)$(PREFIX)/bin/vitx-scenes
	$(Q)rm -f $(addprefix $(DESTDIR)$(DATADIR)/scenes/,$(notdir $(BUNDLED))) \
	    $(addprefix $(DESTDIR)$(DATADIR)/pair/,$(notdir $(PAIR))) \
	    $(addprefix $(DESTDIR)$(DATADIR)/templates/,$(notdir $(TEMPLATES))) \
	    $(addprefix $(DESTDIR)$(DATADIR)/demo/,$(notdir $(DEMO)) demo.sh) \
	    $(addprefix $(DESTDIR)$(DATADIR)/,$(UNITS) serve.md)
	$(Q)rm -f $(PLUGINS)/libvitx-cuda.so.* && { rmdir $(PLUGINS) 2>/dev/null || true; }
	$(Q)for folder in /scenes /pair /templates /demo ""; do rmdir $(DESTDIR)$(DATADIR)$$folder 2>/dev/null || true; done

C_FILES := $(shell find lib kernels include tools test docs -name '*.[ch]' -o -name '*.[ch]pp' -o -name '*.cu' 2>/dev/null)
format:                                                        ## format the sources with clang-format
	$(Q)clang-format -i $(C_FILES)
TIDY := $(patsubst %.c,%.tidy,$(LIB_SRC) $(CLI_SRC))
.PHONY: $(TIDY)
$(TIDY): %.tidy: %.c
	@echo "  TIDY  $<"
	$(Q)clang-tidy --quiet $< -- $(ALL_CFLAGS) $(OWN) 2>/dev/null
lint: $(TIDY)                                                  ## clang-tidy, cppcheck and shellcheck over the sources
	$(Q)cppcheck --quiet --std=c11 --error-exitcode=1 --suppress=missingIncludeSystem -Iinclude -Ilib -I. lib kernels tools/cli
	$(Q)shellcheck -x tools/*.sh test/*.sh test/fuzz/*.sh .ci/run

info:                                                          ## what was found: compiler, OpenBLAS, nvcc, the plug-in, versions
	@echo "vitx      $(VERSION), shared library $(SONAME), configuration $(CONFIG)"
	@echo "compiler  $(shell $(CC) --version | head -n 1) for $(MACHINE)"
	@echo "openblas  $(shell $(PKG) --modversion openblas), loaded at run time as $(BLAS_SO)"
	@echo "cjson     $(shell $(PKG) --modversion libcjson)"
	@echo "zlib      $(shell $(PKG) --modversion zlib)"
	@echo "libpng    $(shell $(PKG) --modversion libpng)"
	@echo "nettle    $(shell $(PKG) --modversion nettle)"
	@echo "utf8proc  $(shell $(PKG) --modversion libutf8proc)"
	@echo "pictures  $(foreach d,$(DECODERS),$(call part,2,$(d)) $(if $(filter $(d),$(PICTURES)),$(shell $(PKG) --modversion $(call part,2,$(d))),not used)$(comma)) and those that need no library"
	@echo "check     $(shell $(PKG) --modversion check)"
	@echo "stb       $(shell printf '\43include <stb/stb_image.h>' | $(CC) $(INCLUDES) -E -M -x c - | grep -o '/[^ ]*/stb_image.h')"
	@echo "nvcc      $(if $(CUDA_NVCC),$(shell $(CUDA_NVCC) --version | sed -n 's/.*release \([0-9.]*\).*/\1/p') at $(CUDA_NVCC),not used)"
	@echo "plug-in   $(PLUGIN) of the device cuda: $(if $(filter 0,$(CUDA)),left out,$(shell test -e $(PLUGIN) && echo built || echo not built))"
endif

.PHONY: help clean
help:                                                          ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  \1\t\2/p' Makefile | expand -t 14
clean:                                                         ## remove build/
	$(Q)rm -rf build

-include $(wildcard $(DEPS))
