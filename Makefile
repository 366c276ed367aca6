# Lucida: build, train, look, test. Needs git, make and g++; everything else is installed by `make deps`, which the
# other targets call when something is missing and which says what it runs.
#
#   make train                 the main job: scenes are generated, a ResNet CAM is trained, its maps are drawn
#   make train DATA=voc ROOT=.../VOCdevkit RECIPE=ll-r-boostlu ARGS="--epochs 5"
#   make train RECIPE=coco/ll-r-boostlu ROOT=.../coco    a published run; docs/recipes.md lists them
#   make eval CHECKPOINT=runs/scenes/best.safetensors ARGS="--alpha 5"
#   make cam  CHECKPOINT=... IMAGE="a.jpg b.jpg"        overlays and raw maps in OUT (default cams/)
#   make study ROOT=.../VOCdevkit INIT=resnet50.safetensors   the losses compared: docs/results.md
#   make test                  every test; the last line is the count
#   make bench [ARGS="--json"] a training step, each layer and the loader, timed on this machine
#   make cuda                  build/cuda/lucida with nvcc for sm_80 and sm_90, and what ptxas says of every kernel
#   make cuda-test             every test on this machine's GPU; `make test` does both where there is one
#   make profile [STEPS=5]     a training step in Nsight Systems; docs/profiling.md
#   make profile-kernel KERNEL=conv2d RUNG=4 [SHAPE= SET= PASS= REPEAT=]   one operation in Nsight Compute
#   make read LAYER=conv2d     the files of one layer, in reading order
#   make layout                does the tree keep its rules?      make lint / make format    clang-tidy, clang-format
#   make clean                 removes build/ (never data/ or runs/)
#
# ARCH=native        the processor the binary is for: native, x86-64-v3, x86-64-v4, armv8-a, ...
# SANITIZE=address   or thread, undefined, address,undefined: another build folder, for `make test`
# CUDA=1             or 0: whether build/lucida is the CUDA build; 1 where nvcc and a GPU are found
# ONEDNN=1           a build whose `lucida bench layers --onednn` compares with oneDNN (libdnnl-dev)
# CXX=g++ JOBS=N     compiler and parallel jobs

ARCH     ?= native
SANITIZE ?=
JOBS     ?= $(shell nproc)
B        := build/$(ARCH)$(if $(SANITIZE),-$(SANITIZE))
MAKEFLAGS += --no-print-directory

WARNINGS := -Wall -Wextra -Wshadow -Wno-restrict # g++ 12 warns of overlaps inside std::string that cannot be
OPTIMISE := $(if $(SANITIZE),-O1 -fno-omit-frame-pointer -fsanitize=$(SANITIZE),-O3) # -O2 takes 1.5x as long to build
OPTIMISE += $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=all)
FLAGS     = -std=c++20 $(OPTIMISE) -g1 -march=$(ARCH) -fopenmp $(WARNINGS) -MMD -MP -I. -isystem /usr/include/stb \
            $(CXXFLAGS)
LDLIBS   := -lz -lpugixml -lpthread

# A yardstick of the benchmark, in a program of its own so that no other has to load the library.
ONEDNN   ?= 0
ONEDNN_CPP := train/bench_onednn.cpp
HAS_ONEDNN  = echo '\#include <oneapi/dnnl/dnnl.hpp>' | $(CXX) -E -x c++ - >/dev/null 2>&1

KERNELS  := $(wildcard cuda/*.cu cuda/losses/*.cu cuda/ladder/*.cu)
LIBRARY  := $(wildcard engine/*.cpp layers/*.cpp layers/losses/*.cpp cpu/*.cpp cpu/losses/*.cpp cpu/ladder/*.cpp \
              models/*.cpp datasets/*.cpp cuda/*.cpp) $(filter-out train/main.cpp $(ONEDNN_CPP),$(wildcard train/*.cpp))
TESTS    := $(wildcard tests/*.cpp)
objects   = $(patsubst %.cpp,$(B)/%.o,$(1))
# Device kernels run emulated (g++, cuda/emulate.h) except for what calls NVIDIA's libraries (NAME_cublas, NAME_cudnn).
EMULATED := $(patsubst %.cu,$(B)/%.emulated.o,$(filter-out %_cublas.cu %_cudnn.cu cuda/runtime%.cu,$(KERNELS)))

# The CUDA build: the same host objects, device kernels compiled by nvcc. Of NVIDIA's libraries only what is there.
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc)))
NVCC      := $(CUDA_HOME)/bin/nvcc
CUDA      ?= $(if $(and $(wildcard $(NVCC)),$(wildcard /dev/nvidiactl /dev/dxg)),1,0)
NVFLAGS    = -std=c++20 -O3 -lineinfo --expt-relaxed-constexpr -Werror all-warnings -Xcompiler -fopenmp,-Wall,-Werror \
             -I. -MMD -MP
GPUS      := -gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_90,code=[sm_90,compute_90]
CUBLAS    := $(wildcard $(CUDA_HOME)/include/cublas_v2.h)
CUDNN     := $(wildcard $(CUDA_HOME)/include/cudnn.h /usr/include/cudnn.h /usr/include/*-linux-gnu/cudnn.h)
CUDA_LIBS  = -L$(CUDA_HOME)/lib64 -lcudart $(if $(CUBLAS),-lcublas) $(if $(CUDNN),-lcudnn) \
             -Xlinker -rpath=$(CUDA_HOME)/lib64
NVKERNELS := $(filter-out $(if $(CUBLAS),,%_cublas.cu) $(if $(CUDNN),,%_cudnn.cu),$(KERNELS))

# What `make` leaves as build/lucida.
PROGRAM   := $(if $(filter 1,$(ONEDNN)),$(B)/lucida-onednn,$(if $(filter 1,$(CUDA)),build/cuda,$(B))/lucida)
ONE_MAKE   = $(MAKE) $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(JOBS))
NEED_NVCC  = test -x $(NVCC) || { echo "make $@ needs nvcc, of the CUDA toolkit: CUDA_HOME=/where/it/is"; exit 1; }

.PHONY: all cuda cuda-test ptxas train eval cam study bench profile profile-kernel test layout read \
        deps need-onednn format lint clean help
export KERNEL RUNG SHAPE SET PASS PRECISION REPEAT STEPS # of make profile and make profile-kernel
all: build/.deps
	@$(ONE_MAKE) $(PROGRAM)
	@ln -sfn $(PROGRAM:build/%=%) build/lucida

# ---- building -------------------------------------------------------------------------------------------------

$(B)/lucida: $(call objects,$(LIBRARY) train/main.cpp) $(EMULATED)
	@echo "link  $@"
	@$(CXX) $(FLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(B)/lucida-onednn: $(call objects,$(LIBRARY) train/main.cpp $(ONEDNN_CPP)) $(EMULATED)
	@echo "link  $@"
	@$(CXX) $(FLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS) -ldnnl
$(B)/train/bench_onednn.o: | need-onednn
$(B)/test: $(call objects,$(LIBRARY) $(TESTS)) $(EMULATED)
	@echo "link  $@"
	@$(CXX) $(FLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)
# No hot loops in tests nor in what reads the command line: built in about half the time. Of undefined behaviour they
# leave to the address sanitizer what it sees, too; the rest of the program keeps those checks.
BRIEF    := $(if $(SANITIZE),-O0,-O1) $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize=null -fno-sanitize=object-size)
$(B)/tests/%.o $(call objects,$(shell grep -l '<CLI/CLI.hpp>' train/*.cpp)): OPTIMISE += $(BRIEF)
$(B)/cpu/%.o: OPTIMISE += $(if $(SANITIZE),-O2) # all of the hot loops
# Unrolled, with a check of each pointer that might wrap around, they take three times as long to build.
$(B)/cpu/microkernel.o $(B)/cpu/conv2d_weight_tile.o: OPTIMISE += \
              $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize=pointer-overflow)
$(B)/%.o: %.cpp
	@mkdir -p $(@D)
	@echo "c++   $<"
	@$(CXX) $(FLAGS) -DLUCIDA_ARCH='"$(ARCH)"' -c $< -o $@
$(B)/%.emulated.o: OPTIMISE += -Wno-unknown-pragmas -fno-strict-aliasing # 16 bytes read as float4
$(B)/%.emulated.o: %.cu
	@mkdir -p $(@D)
	@echo "emul  $<"
	@$(CXX) $(FLAGS) -x c++ -c $< -o $@
# Kernels of GPUs, linked with the host's objects; PTX is kept for later GPUs and for simulators (docs/profiling.md).
# Beside each object lies what ptxas said, and from the PTX the threads of a block where __launch_bounds__ tells.
build/cuda/%.o: %.cu
	@mkdir -p $(@:.o=.keep)
	@echo "nvcc  $<"
	@$(NVCC) $(NVFLAGS) $(GPUS) -Xptxas -v --keep --keep-dir $(@:.o=.keep) -c $< -o $@ 2> $(@:.o=.ptxas) || \
	  { cat $(@:.o=.ptxas); rm -rf $(@:.o=.keep) $@; exit 1; }
	@awk '/\.entry/ { sub(/\(.*/, ""); kernel = $$NF } /^\.maxntid/ { gsub(",", " "); print "maxntid", kernel, $$2, $$3, $$4 }' \
	  $(@:.o=.keep)/*compute_80.ptx >> $(@:.o=.ptxas); rm -rf $(@:.o=.keep)
build/cuda/lucida: $(NVKERNELS:%.cu=build/cuda/%.o) $(call objects,$(LIBRARY) train/main.cpp)
build/cuda/test: $(NVKERNELS:%.cu=build/cuda/%.o) $(call objects,$(LIBRARY) $(TESTS))
build/cuda/lucida build/cuda/test:
	@echo "link  $@"
	@$(NVCC) -cudart shared -Xcompiler -fopenmp $^ -o $@ $(LDLIBS) $(CUDA_LIBS)
-include $(shell find build -name '*.d' 2>/dev/null)

# ---- the main job ---------------------------------------------------------------------------------------------

# A recipe of a folder (coco/ll-r-boostlu) names its data set itself; its run goes to runs/coco-ll-r-boostlu.
PUBLISHED  := $(findstring /,$(RECIPE))
DATA       ?= $(if $(PUBLISHED),,scenes)
ROOT       ?= $(if $(filter scenes,$(DATA)),data/scenes/VOCdevkit)
RECIPE     ?= $(if $(filter scenes,$(DATA)),scenes)
CHECKPOINT ?= runs/scenes/best.safetensors
OUT        ?=
ARGS       ?=
data_args   = $(if $(DATA),--data $(DATA)) $(if $(ROOT),--root $(ROOT))
run_folder  = $(or $(OUT),$(if $(PUBLISHED),runs/$(subst /,-,$(RECIPE))))

train: all
	@$(if $(filter scenes,$(DATA)),test -e $(ROOT)/VOC2012/ImageSets/Main/trainval.txt || \
	  build/lucida data make-scenes --out $(patsubst %/VOCdevkit,%,$(ROOT)) --count 6000 --image-size 96 --seed 1)
	build/lucida train $(if $(RECIPE),--config train/recipes/$(RECIPE).toml) $(data_args) \
	  $(if $(run_folder),--out $(run_folder),$(if $(filter scenes,$(DATA)),--out runs/scenes --overwrite)) $(ARGS)
eval: all
	build/lucida eval --checkpoint $(CHECKPOINT) $(data_args) $(ARGS)
cam: all
	@test -n "$(IMAGE)" || { echo 'make cam needs IMAGE="photo.jpg ..." (and CHECKPOINT=...)'; exit 2; }
	build/lucida cam --checkpoint $(CHECKPOINT) $(addprefix --image ,$(IMAGE)) --out $(or $(OUT),cams) $(ARGS)
# ROOT and INIT must be given; it goes on where it was stopped.
study: all
	@python3 scripts/study.py --root "$(if $(filter file,$(origin ROOT)),,$(ROOT))" --init "$(INIT)" \
	  --out $(or $(OUT),runs/study) $(ARGS)
bench: all
	build/lucida bench step $(ARGS)
	build/lucida bench layers $(ARGS)

# ---- CUDA -----------------------------------------------------------------------------------------------------

cuda: build/.deps
	@$(NEED_NVCC)
	@$(ONE_MAKE) build/cuda/lucida
	@$(MAKE) ptxas
cuda-test: build/.deps
	@$(NEED_NVCC)
	@$(ONE_MAKE) build/cuda/test
	build/cuda/test $(TEST_ARGS)
ptxas:
	@bash scripts/ptxas.sh build/cuda
profile: export PROGRAM := build/cuda/lucida
profile: build/.deps
	@bash scripts/profile.sh $(ARGS)
profile-kernel: export PROGRAM := build/cuda/lucida
profile-kernel: build/.deps
	@bash scripts/profile_kernel.sh

# ---- proof ----------------------------------------------------------------------------------------------------

test: build/.deps
	@$(ONE_MAKE) $(B)/test $(if $(SANITIZE),,$(PROGRAM))
	@$(if $(SANITIZE),,ln -sfn $(PROGRAM:build/%=%) build/lucida)
	@bash scripts/test.sh $(B)/test $(TEST_ARGS)
	@$(if $(filter 1-,$(CUDA)-$(SANITIZE)),$(MAKE) cuda-test)
layout:
	@bash scripts/layout.sh
lint: build/.deps
	@bash scripts/lint.sh
format:
	@git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format -i
read:
	@bash scripts/read.sh "$(LAYER)"

# ---- what is needed -------------------------------------------------------------------------------------------

deps: ; @bash scripts/deps.sh $(if $(filter 1,$(ONEDNN)),libdnnl-dev=/usr/include/oneapi/dnnl/dnnl.hpp)
need-onednn: ; @$(HAS_ONEDNN) || \
  { echo "ONEDNN=1 needs oneDNN's headers and library: make deps ONEDNN=1 installs libdnnl-dev"; exit 1; }
build/.deps: scripts/deps.sh
	@bash scripts/deps.sh
	@mkdir -p build && touch $@
clean: ; rm -rf build
help: ; @sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile
