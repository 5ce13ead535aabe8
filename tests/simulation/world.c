/* Time stands still while anybody works and jumps to the next event when all wait. A process is a coroutine, so that the
 * real programs run with their real loops; who runs next is a function of the seed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "tests/faults/fail_alloc.h"
#include "tests/simulation/world.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES ((size_t)1 << 20)
#define SPINS_MOST 20000 /* wakes of one process in one second */
#define DEATHS_MOST 40   /* of all processes in one run, so that it ends */
#define LINE_MAX_BYTES 512
#define REMEMBERED 24
#define ROOM 65536 /* events: more than a run has on its way, so that memory in use is the programs' own */

struct event {
    uint64_t at_us, order;
    sim_happen *happen;
    void *context;
    uint64_t number;
};

struct sim_process {
    const char *name;
    ucontext_t context;
    void (*main)(void *context);
    void *argument;
    bool runs, ready, dying;
    uint64_t wait;   /* counts its waits, so that a late alarm wakes nobody */
    uint64_t second; /* the one in which its wakes are counted */
    unsigned wakes;
};

static struct {
    uint64_t state, now_us, order;
    struct event *heap;
    size_t n_heap, heap_room;
    struct sim_process processes[SIM_NODES + 1];
    size_t n_processes;
    struct sim_process *self, *acting;
    ucontext_t scheduler;
    unsigned deaths;
    uint64_t digest;
    bool told;
    char last[REMEMBERED][LINE_MAX_BYTES];
    size_t n_last;
} world;

static unsigned char *stacks[SIM_NODES + 1]; /* kept from seed to seed */

/* -- dice ----------------------------------------------------------------------------------------------------------- */

/* splitmix64, finalised once for a mix of three. */
static uint64_t stirred(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t sim_dice(uint64_t n) { return stirred(world.state += UINT64_C(0x9e3779b97f4a7c15)) % n; }

bool sim_chance(uint64_t percent) { return percent > 0 && sim_dice(100) < percent; }

uint64_t sim_mixed(uint64_t a, uint64_t b, uint64_t c, uint64_t n) {
    return stirred(stirred(stirred(a + 1) ^ (b + 1) * UINT64_C(0x9e3779b97f4a7c15)) ^ (c + 1)) % n;
}

/* -- the trace ------------------------------------------------------------------------------------------------------ */

bool sim_told(void) { return world.told; }

static char *next_line(void) { return world.last[world.n_last++ % REMEMBERED]; }

void sim_note(const char *format, ...) {
    char *line = next_line();
    int n = snprintf(line, LINE_MAX_BYTES, "%9.3f ", (double)world.now_us / 1e6);
    va_list args;
    va_start(args, format);
    vsnprintf(line + n, LINE_MAX_BYTES - (size_t)n, format, args);
    va_end(args);
    for (const char *c = line; *c != '\0'; c++) {
        world.digest = (world.digest ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
    }
    if (world.told) {
        puts(line);
    }
}

void sim_require(bool holds, const char *format, ...) {
    if (holds) {
        return;
    }
    fflush(stdout);
    for (size_t i = world.told || world.n_last < REMEMBERED ? 0 : world.n_last; !world.told && i < world.n_last + REMEMBERED;
         i++) {
        if (world.last[i % REMEMBERED][0] != '\0') {
            fprintf(stderr, "%s\n", world.last[i % REMEMBERED]);
        }
        if (world.n_last < REMEMBERED && i + 1 == world.n_last) {
            break;
        }
    }
    fprintf(stderr, "seed %" PRIu64 "%s%s, at %.3f s: ", sim.seed, sim.calm ? " (calm)" : "",
            sim.starved != NULL ? sim.starved : "", (double)world.now_us / 1e6);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nreplay it: --seed %" PRIu64 "%s --trace\n", sim.seed, sim.calm ? " --calm" : "");
    fflush(stderr);
    _Exit(1);
}

int sim_decode(struct fed_message *out, const void *bytes, size_t n) {
    struct sim_process *before = sim_act_for(NULL);
    int rc = fed_message_decode(out, bytes, n);
    sim_act_for(before);
    return rc;
}

void *sim_new(size_t n) { return memset(fail_alloc_exempt(NULL, n), 0, n); }

/* -- events --------------------------------------------------------------------------------------------------------- */

uint64_t sim_now_us(void) { return world.now_us; }

static bool before(const struct event *a, const struct event *b) {
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_after(uint64_t us, sim_happen *happen, void *context, uint64_t number) {
    if (world.n_heap == world.heap_room) {
        world.heap_room = world.heap_room == 0 ? ROOM : 2 * world.heap_room;
        world.heap = fail_alloc_exempt(world.heap, world.heap_room * sizeof *world.heap);
    }
    struct event event = {world.now_us + us, world.order++, happen, context, number};
    size_t i = world.n_heap++;
    for (; i > 0 && before(&event, &world.heap[(i - 1) / 2]); i = (i - 1) / 2) {
        world.heap[i] = world.heap[(i - 1) / 2];
    }
    world.heap[i] = event;
}

static struct event pop_event(void) {
    struct event first = world.heap[0], last = world.heap[--world.n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < world.n_heap; i = child) {
        child += child + 1 < world.n_heap && before(&world.heap[child + 1], &world.heap[child]);
        if (!before(&world.heap[child], &last)) {
            break;
        }
        world.heap[i] = world.heap[child];
    }
    world.heap[i] = last;
    return first;
}

/* -- processes ------------------------------------------------------------------------------------------------------ */

struct sim_process *sim_self(void) {
    return world.self;
}
struct sim_process *sim_acting(void) {
    return world.acting;
}

struct sim_process *sim_act_for(struct sim_process *process) {
    struct sim_process *before = world.acting;
    world.acting = process;
    return before;
}

const char *sim_process_name(const struct sim_process *process) { return process->name; }

#if defined(__SANITIZE_ADDRESS__)
static void *fake_stack;
static const void *scheduler_bottom;
static size_t scheduler_size;
static void entering(struct sim_process *process) {
    size_t i = (size_t)(process - world.processes);
    __sanitizer_start_switch_fiber(&fake_stack, stacks[i], STACK_BYTES);
}
static void entered(void **fake) { __sanitizer_finish_switch_fiber(*fake, &scheduler_bottom, &scheduler_size); }
static void leaving(void **fake) { __sanitizer_start_switch_fiber(fake, scheduler_bottom, scheduler_size); }
static void left(void) { __sanitizer_finish_switch_fiber(fake_stack, NULL, NULL); }
#else
static void entering(struct sim_process *process) { (void)process; }
static void entered(void **fake) { (void)fake; }
static void leaving(void **fake) { (void)fake; }
static void left(void) {}
#endif

static void enter_process(void) {
    void *none = NULL;
    struct sim_process *self = world.self;
    entered(&none);
    self->main(self->argument);
    self->runs = false;
    leaving(NULL);
}

struct sim_process *sim_process_new(const char *name, void (*main)(void *context), void *context) {
    size_t i = world.n_processes++;
    struct sim_process *process = &world.processes[i];
    if (stacks[i] == NULL) {
        void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) {
            abort();
        }
        stacks[i] = stack;
    }
    *process = (struct sim_process){.name = name, .main = main, .argument = context, .runs = true, .ready = true};
    getcontext(&process->context);
    process->context.uc_stack.ss_sp = stacks[i];
    process->context.uc_stack.ss_size = STACK_BYTES;
    process->context.uc_link = &world.scheduler;
    makecontext(&process->context, enter_process, 0);
    return process;
}

void sim_wake(struct sim_process *process) { process->ready = true; }

static void alarm_rings(void *context, uint64_t number) {
    struct sim_process *process = context;
    process->ready = process->ready || process->wait == number;
}

void sim_sleep(uint64_t us) {
    struct sim_process *self = world.self;
    void *fake = NULL;
    self->ready = false;
    self->wait++;
    sim_after(us, alarm_rings, self, self->wait);
    leaving(&fake);
    swapcontext(&self->context, &world.scheduler);
    entered(&fake);
}

static void run_process(struct sim_process *process) {
    uint64_t second = world.now_us / SIM_S;
    process->wakes = second == process->second ? process->wakes + 1 : 0;
    process->second = second;
    sim_require(process->wakes < SPINS_MOST, "%s turns in circles", process->name);
    world.self = world.acting = process;
    entering(process);
    swapcontext(&world.scheduler, &process->context);
    left();
    world.self = world.acting = NULL;
}

void sim_kill(struct sim_process *process) {
    if (!process->dying) {
        sim_note("%s is killed", process->name);
        process->dying = true;
        sim_wake(process);
    }
}

bool sim_dying(const struct sim_process *process) { return process->dying; }

void sim_reborn(struct sim_process *process) { process->dying = false; }

bool sim_dies_here(struct sim_process *process) {
    if (!process->dying && sim.trouble && sim.deaths > 0 && world.deaths < DEATHS_MOST && sim_dice(1000) < sim.deaths) {
        world.deaths++;
        sim_kill(process);
    }
    return process->dying;
}

/* -- the world ------------------------------------------------------------------------------------------------------ */

void sim_world_begin(uint64_t seed, bool told) {
    world.state = seed * UINT64_C(0xd1342543de82ef95) + sim.calm;
    world.now_us = 3600 * (uint64_t)SIM_S + sim_dice(1000000);
    world.order = world.n_heap = world.n_processes = world.n_last = world.deaths = 0;
    world.digest = UINT64_C(0xcbf29ce484222325);
    world.told = told;
    memset(world.last, 0, sizeof world.last);
}

uint64_t sim_world_digest(void) { return world.digest; }

static bool run_ready(void) {
    bool any = false;
    for (size_t i = 0; i < world.n_processes; i++) {
        struct sim_process *process = &world.processes[i];
        if (process->runs && process->ready) {
            run_process(process);
            any = true;
        }
    }
    return any;
}

void sim_world_run(bool (*over)(void)) {
    while (!over()) {
        if (run_ready()) {
            continue;
        }
        sim_require(world.n_heap > 0, "nobody waits for anything, and the run is not over");
        struct event event = pop_event();
        world.now_us = event.at_us;
        event.happen(event.context, event.number);
    }
}

void sim_world_end(sim_happen *forget, void (*drop)(void *context)) {
    for (size_t i = 0; i < world.n_heap; i++) {
        if (world.heap[i].happen == forget) {
            drop(world.heap[i].context);
        }
    }
    world.n_heap = 0;
}

bool sim_world_is_empty(void) {
    for (size_t i = 0; i < world.n_processes; i++) {
        if (world.processes[i].runs) {
            return false;
        }
    }
    return true;
}

void sim_world_free(void) {
    free(world.heap);
    for (size_t i = 0; i < SIM_NODES + 1; i++) {
        if (stacks[i] != NULL) {
            munmap(stacks[i], STACK_BYTES);
        }
    }
}
