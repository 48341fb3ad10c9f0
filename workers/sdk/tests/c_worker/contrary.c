/* A worker for tests, which does not do as it is told. What SPOIL is defined as is done to its rack. */
#include <string.h>
#include "backline.h"

#ifndef SPOIL
#define SPOIL (void)rack
#endif
#ifndef WARMS
#define WARMS 0
#endif

static const BacklinePort INPUTS[] = {{"in", "audio"}};
static const BacklinePort OUTPUTS[] = {{"out", "audio"}};
static const BacklineParam PARAMS[] = {
    {.name = "level", .min = 0.0f, .max = 1.0f, .default_value = 0.5f},
};

/* "sulks" plays its level, and fails while its gate is open. "counts" plays how many blocks it has rendered, later; at a
   hard gate it writes where it may not, at a soft one it hangs. */
static const BacklineModuleType TYPES[] = {
    {.name = "sulks", .outputs = OUTPUTS, .output_count = 1, .params = PARAMS, .param_count = 1, .is_gated = 1,
     .most_channels = 2, .is_exact = 1},
    {.name = "counts", .inputs = INPUTS, .input_count = 1, .outputs = OUTPUTS, .output_count = 1,
     .most_channels = 1, .state_words = 1, .render_ahead_blocks = 2},
};

static int32_t render(void *user, const BacklineJob *job) {
    (void)user;
    if (job->gate && job->setup.type_index == 1) {
        volatile int *nowhere = NULL;
        while (job->velocity < 0.5f) {
        }
        *nowhere = 1;
    }
    if (job->gate && job->setup.instance != 0) {
        backline_complain(job, "I will not play this");
        return 9;
    }
    if (job->setup.type_index == 1)
        ++*job->state;
    for (uint32_t channel = 0; channel < job->setup.channels; channel++)
        for (uint32_t frame = 0; frame < job->frames; frame++)
            job->outputs[channel * job->stride + frame] =
                job->setup.type_index == 0 ? job->setup.params[0] : (float)*job->state;
    return 0;
}

static int32_t warm(void *user, uint32_t type_index, float rate_hz, uint32_t block_frames) {
    (void)user, (void)rate_hz, (void)block_frames;
    if (type_index == 1 && WARMS)
        backline_complain(NULL, "it is too cold");
    return type_index == 1 ? WARMS : 0;
}

int main(int argc, char **argv) {
    BacklineRack rack = {
        BACKLINE_RACK_INIT, .process = "contrary", .types = TYPES, .type_count = 2, .render = render, .warm = warm};
    SPOIL;
    return backline_worker_run(argc - 1, (const char *const *)(argv + 1), &rack);
}
