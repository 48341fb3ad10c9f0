/* A ring modulator: what comes in, times a sine. */
#include <math.h>
#include "backline.h"

typedef struct State {
    float phase; /* of the sine, 0 to 1 */
} State;

static const BacklinePort INPUTS[] = {{"in", "audio"}};
static const BacklinePort OUTPUTS[] = {{"out", "audio"}};
static const BacklineParam PARAMS[] = {
    {.name = "frequency", .summary = "of the sine", .unit = "Hz", .min = 1.0f, .max = 8000.0f,
     .default_value = 440.0f, .modulation = 1},
};
static const BacklineModuleType RING = {
    .name = "ring", .summary = "Ring modulator", .origin = __FILE__,
    .inputs = INPUTS, .input_count = 1, .outputs = OUTPUTS, .output_count = 1,
    .params = PARAMS, .param_count = 1, .most_channels = 16,
    .state_words = sizeof(State) / 4, .is_exact = 1,
};

static int32_t render(void *user, const BacklineJob *job) {
    State *state = (State *)job->state;
    const float *in = job->inputs[0], *octaves = job->inputs[1];
    (void)user;
    for (uint32_t frame = 0; frame < job->frames; frame++) {
        float frequency = job->setup.params[0] * (octaves ? exp2f(octaves[frame]) : 1.0f);
        float sine = sinf(6.2831853f * state->phase);
        state->phase = fmodf(state->phase + frequency / job->setup.rate_hz, 1.0f);
        for (uint32_t channel = 0; channel < job->setup.channels; channel++) {
            uint32_t at = channel * job->stride + frame;
            job->outputs[at] = in ? in[at] * sine : 0.0f;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    const BacklineRack rack = {
        BACKLINE_RACK_INIT, .process = "ring", .types = &RING, .type_count = 1, .render = render};
    return backline_worker_run(argc - 1, (const char *const *)(argv + 1), &rack);
}
