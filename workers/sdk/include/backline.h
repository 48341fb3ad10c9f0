/*
 * Backline: what a worker in C, or in any language that can call C, says of itself and is asked.
 *
 * A worker is a process that plays modules for the engine. It fills in a BacklineRack and calls
 * backline_worker_run; docs/write-a-worker-in-c.md shows one from beginning to end.
 *
 * Texts are UTF-8 with a NUL. Generated from workers/sdk/src/c_api; do not edit.
 *
 *     BACKLINE_WRITE_HEADER=1 cargo test -p backline-sdk --test header
 */

#ifndef BACKLINE_H
#define BACKLINE_H

#include <stdint.h>
/* What every rack begins with:  BacklineRack rack = { BACKLINE_RACK_INIT, .types = ..., .render = ... }; */
#define BACKLINE_RACK_INIT                                                                                \
    BACKLINE_ABI_VERSION, (uint32_t)sizeof(BacklineRack), (uint32_t)sizeof(BacklineModuleType),           \
        (uint32_t)sizeof(BacklineParam), (uint32_t)sizeof(BacklineJob)


// Version of these structures and of the memory that engine and workers share. Workers of another version are refused.
#define BACKLINE_ABI_VERSION 5

// How the engine names an opened gate among its events. Authors read `gate` and `is_struck` of a job instead.
#define BACKLINE_GATE_ON 256

// How the engine names a closed gate among its events.
#define BACKLINE_GATE_OFF 257

// An input or output of a module type. The first of each is the main one.
typedef struct BacklinePort {
    // The name in `ID.NAME`: 1 to 32 of a-z, 0-9 and _.
    const char *name;
    // What it carries, in one line; NULL for nothing.
    const char *summary;
} BacklinePort;

// A parameter of a module type. A cable may enter it like an input.
typedef struct BacklineParam {
    // The name in `/set ID NAME VALUE`: 1 to 32 of a-z, 0-9 and _, and no input's name.
    const char *name;
    // What it does, in one line; NULL for nothing.
    const char *summary;
    // "Hz", "s", "dB" and the like; NULL for a plain number.
    const char *unit;
    // Smallest value.
    float min;
    // Largest value.
    float max;
    // The value when nobody sets it.
    float default_value;
    // What a cable into it means to the author's code: 0 nothing, 1 octaves (value times two to the power of the signal),
    // 2 full scale (value plus signal times (max - min)).
    uint32_t modulation;
    // For a parameter that chooses by word, the words; the value is the index, from 0 to choice_count - 1. Else NULL.
    const char *const *choices;
    // How many words.
    uint32_t choice_count;
} BacklineParam;

// A module type.
typedef struct BacklineModuleType {
    // What `/create` calls it: 1 to 128 printable characters, no space.
    const char *name;
    // One line for a person who chooses a module; NULL for nothing.
    const char *summary;
    // The file it comes from; NULL for nothing.
    const char *origin;
    // Inputs, at most 8.
    const struct BacklinePort *inputs;
    // How many.
    uint32_t input_count;
    // Outputs, 1 to 4.
    const struct BacklinePort *outputs;
    // How many.
    uint32_t output_count;
    // Parameters, at most 32.
    const struct BacklineParam *params;
    // How many.
    uint32_t param_count;
    // Not 0 if `/gate` means something to it.
    uint32_t is_gated;
    // Channels that a module of it may have at most, 1 to 16.
    uint32_t most_channels;
    // The author's own state, in words of 32 bits. It outlives this process: whoever takes the module over gets it.
    uint32_t state_words;
    // Not 0 if all that decides the sound is in those words. Another worker then goes on bit by bit.
    uint32_t is_exact;
    // 0: rendered in time. k: rendered by a second thread and heard k blocks later; at most 64, and not exact.
    uint32_t render_ahead_blocks;
} BacklineModuleType;

// One module.
typedef struct BacklineSetup {
    // Its number, never used again while the engine lives; 0 while warming up.
    uint32_t instance;
    // Its type, counted from 0 in `types`.
    uint32_t type_index;
    // Channels of each of its inputs and outputs.
    uint32_t channels;
    // Seed of everything random in it.
    uint32_t identity;
    // Sample rate, Hz.
    float rate_hz;
    // Frames of the longest block.
    uint32_t block_frames;
    // The values of its parameters: at first for `init`, now for `render`.
    const float *params;
} BacklineSetup;

// One stretch of one block of one module. Whatever happens to a module in the middle of a block cuts it in two.
typedef struct BacklineJob {
    // The module, with the values that its parameters have now.
    struct BacklineSetup setup;
    // The author's own words: the state before the stretch, and on return the state after it. 64-byte aligned.
    uint32_t *state;
    // One pointer for each input, then one for each parameter; NULL where no cable is. Channel c begins at c * stride.
    const float *const *inputs;
    // What is to be filled; silent before. Channel c of output p begins at (p * channels + c) * stride.
    float *outputs;
    // Samples from one plane to the next.
    uint32_t stride;
    // Frames in this stretch, at least 1.
    uint32_t frames;
    // First frame of this stretch in its block. Inputs and outputs point there already.
    uint32_t start_frame;
    // 1 while the gate is open.
    uint32_t gate;
    // 1 if the gate was opened, or struck again, at the first frame of this stretch.
    uint32_t is_struck;
    // Velocity of the last gate, 0.0 to 1.0.
    float velocity;
    // Frames since the engine started, of the first frame of this stretch.
    uint64_t first_frame;
} BacklineJob;

// A whole worker. Begin it with `BACKLINE_RACK_INIT`. It is read and checked once, but for `user`, whose memory, like
// the functions, must live as long as the worker runs.
//
// All functions are called by the thread that called `backline_worker_run`, one at a time; but those of a type with
// `render_ahead_blocks` are called (`init` and `render`) by a second thread, at the same time as the others.
typedef struct BacklineRack {
    // BACKLINE_ABI_VERSION.
    uint32_t abi_version;
    // sizeof(BacklineRack).
    uint32_t rack_bytes;
    // sizeof(BacklineModuleType).
    uint32_t type_bytes;
    // sizeof(BacklineParam).
    uint32_t param_bytes;
    // sizeof(BacklineJob).
    uint32_t job_bytes;
    // What `ps` shows, at most 15 bytes; NULL leaves the program's name.
    const char *process;
    // Module types, at most 256.
    const struct BacklineModuleType *types;
    // How many.
    uint32_t type_count;
    // The author's own; comes back as the first argument of each function.
    void *user;
    // State of a module before its first frame; `params` are the first values. The words are 0 already, and NULL leaves
    // them so. Real-time: neither allocates nor waits.
    void (*init)(void *user, const struct BacklineSetup *setup, uint32_t *state);
    // Renders a stretch. Not 0: the block is concealed by a ramp, the state stays as it was, and what was said by
    // `backline_complain` is told to whoever plays. Real-time: neither allocates nor waits.
    int32_t (*render)(void *user, const struct BacklineJob *job);
    // Makes a type ready to be rendered; may take its time. Not 0: the worker gives up and says why. May be NULL.
    int32_t (*warm)(void *user, uint32_t type_index, float rate_hz, uint32_t block_frames);
    // Modules have come or gone, and nothing is to be done for now: these are ours. Whoever keeps memory of his own for
    // each lets go of the others here. One that was let go of may come back. May be NULL.
    void (*rest)(void *user, const uint32_t *instances, uint32_t count);
} BacklineRack;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// A worker's whole life. `argv` is the command line without the program's name: `--describe`, which writes what
// `backline_describe` writes to standard output, or NAME SLOT CORE ENGINE_PID, as the engine starts workers.
//
// Returns the exit code of the process: 0 when the engine has closed or all is described, 64 for another command line,
// 70 for a defect of this library, 74 when standard output is closed, 78 when the rack or the engine is refused; the
// reason is on standard error.
int32_t backline_worker_run(int32_t argc,
                            const char *const *argv,
                            const struct BacklineRack *rack);

// Writes what the module types of `rack` are to the descriptor `fd`: a line of JSON for each. Nothing is closed.
//
// Returns 0, 74 when `fd` does not take it, or 78 when the rack is refused; the reason is on standard error.
int32_t backline_describe(const struct BacklineRack *rack,
                          int32_t fd);

// Says why the render of `job`, which this is called from, will return something else than 0. Of more than 1008 bytes the
// end is kept. Also `init` and `warm` may call it, with NULL for the job. Real-time safe.
void backline_complain(const struct BacklineJob *job,
                       const char *text);

// Version of this library: the BACKLINE_ABI_VERSION that it was built with.
uint32_t backline_abi_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BACKLINE_H */
