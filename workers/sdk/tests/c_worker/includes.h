/* The header alone, twice, and a rack as both C and C++ can write it. */
#include "../../include/backline.h"
#include "../../include/backline.h"

static const BacklinePort OUT[] = {{"out", "audio"}};
static const BacklineModuleType TYPE = {
    "silence", "Nothing", "", 0, 0, OUT, 1, 0, 0, 0, 1, 0, 1, 0,
};

static int32_t render(void *user, const BacklineJob *job) {
    (void)user;
    (void)job;
    return 0;
}

int32_t play(int32_t argc, const char *const *argv);

int32_t play(int32_t argc, const char *const *argv) {
    const BacklineRack rack = {BACKLINE_RACK_INIT, "silence", &TYPE, 1, 0, 0, render, 0, 0};
    return backline_worker_run(argc, argv, &rack);
}
