# Lucida: build, run, test. Every target installs what is missing first (make deps) and says so.
#
#   make train                 the main job: scenes are generated, a ResNet CAM is trained, maps are drawn
#   make test                  every test; prints the count
#   make                       build/lucida only
#
# Options: ARCH=native|x86-64-v3|...  the machine the binary is for      SANITIZE=address|thread|undefined

ARCH     ?= native
SANITIZE ?=
JOBS     ?= $(shell nproc)
CONFIG   := $(ARCH)$(if $(SANITIZE),-$(SANITIZE))
B        := build/$(CONFIG)

WARNINGS := -Wall -Wextra -Wshadow
CXXFLAGS := -std=c++20 -O3 -g1 -march=$(ARCH) -fopenmp $(WARNINGS) -MMD -MP -I. -isystem /usr/include/stb
ifneq ($(SANITIZE),)
CXXFLAGS += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -O1
ifeq ($(SANITIZE),undefined)
CXXFLAGS += -fno-sanitize-recover=all
endif
endif
LDLIBS   := -lz -lpugixml -lpthread

ENGINE   := $(wildcard engine/*.cpp layers/*.cpp layers/losses/*.cpp cpu/*.cpp cpu/losses/*.cpp cpu/ladder/*.cpp \
              models/*.cpp datasets/*.cpp)
PROGRAM  := $(wildcard train/*.cpp)
TESTS    := $(wildcard tests/*.cpp)
object    = $(patsubst %.cpp,$(B)/%.o,$(1))

.PHONY: all test
all: $(B)/lucida

$(B)/lucida: $(call object,$(ENGINE) $(PROGRAM))
	$(CXX) $(CXXFLAGS) $^ -o $@ $(LDLIBS)
$(B)/test: $(call object,$(ENGINE) $(TESTS) $(filter-out train/main.cpp,$(PROGRAM)))
	$(CXX) $(CXXFLAGS) $^ -o $@ $(LDLIBS)

test: $(B)/test
	$(B)/test

$(B)/%.o: %.cpp
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -c $< -o $@

-include $(shell find $(B) -name '*.d' 2>/dev/null)
