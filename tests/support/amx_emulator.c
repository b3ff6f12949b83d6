/*
 * The AMX emulator.  See amx_emulator.h.
 *
 * Path: an AMX instruction -> SIGILL -> handler -> decode -> execute on tile registers kept per
 * thread -> RIP moves on.  As a signal costs more than most instructions, the handler goes on as
 * long as the next instruction is AMX too, or one of the two kinds that compilers put between them
 * in a kernel (prefetch, lea).
 *
 * Encodings and semantics: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
 * (instruction reference, and sections 2.1 and 2.3 for ModRM, SIB and VEX).
 */
#define _GNU_SOURCE /* REG_RIP and the other names of saved registers */
#include "support/amx_emulator.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include "cpu/cpu_features.h"

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

typedef struct tile_state {
    bool configured;
    uint8_t rows[TILES], row_bytes[TILES];
    uint8_t data[TILES][ROWS][ROW_BYTES];
} tile_state;

static _Thread_local tile_state tiles;
static struct sigaction previous;
static atomic_ullong emulated;

unsigned long long amx_emulator_count(void)
{
    return atomic_load(&emulated);
}

/* ------------------------------------------------------------------------------- decode ---- */

typedef enum prefix { PREFIX_NONE, PREFIX_66, PREFIX_F3, PREFIX_F2 } prefix; /* as VEX.pp */

typedef struct instruction {
    uint8_t opcode;
    prefix pp;
    int reg, rm, vvvv; /* register operands: ModRM.reg, ModRM.rm (if !memory), VEX.vvvv */
    bool memory, sib;
    uint64_t address; /* of the memory operand; with a SIB byte: of row 0, without the index */
    int64_t stride;   /* index * scale, for sibmem operands */
    int length;       /* bytes */
} instruction;

/* Where the interrupted thread keeps its general registers, in the order of their encoding. */
static const int slot_of_register[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

static int64_t register_value(const ucontext_t *context, int number)
{
    return context->uc_mcontext.gregs[slot_of_register[number]];
}

/* ModRM, SIB and displacement at code[*at]; high: the bits R, X, B of the prefix as 4, 2, 1. */
static void decode_operands(instruction *in, const uint8_t *code, int at, int high,
                            const ucontext_t *context)
{
    int mod = code[at] >> 6, base = code[at] & 7;
    bool has_base = true;
    int64_t sum = 0;
    in->reg = ((code[at] >> 3) & 7) | (high & 4) << 1;
    at++;
    in->memory = mod != 3;
    in->rm = base | (high & 1) << 3;
    if (!in->memory) {
        in->length = at;
        return;
    }
    in->sib = base == 4;
    if (in->sib) {
        int index = ((code[at] >> 3) & 7) | (high & 2) << 2;
        base = code[at] & 7;
        if (index != 4)
            in->stride = register_value(context, index) * (1 << (code[at] >> 6));
        at++;
    }
    bool rip_relative = mod == 0 && base == 5 && !in->sib;
    if (mod == 0 && base == 5)
        has_base = false; /* a 32-bit displacement alone, or relative to the next instruction */
    if (mod == 1) {
        sum = (int8_t)code[at];
        at += 1;
    } else if (mod == 2 || !has_base) {
        int32_t disp;
        memcpy(&disp, code + at, 4);
        sum = disp;
        at += 4;
    }
    if (has_base)
        sum += register_value(context, base | (high & 1) << 3);
    if (rip_relative)
        sum += (int64_t)(intptr_t)(code + at);
    in->address = (uint64_t)sum;
    in->length = at;
}

/* A three-byte VEX instruction of map 0F38, 128 bits, W0: the space that AMX lives in. */
static bool decode_vex(instruction *in, const uint8_t *code, const ucontext_t *context)
{
    *in = (instruction){0};
    if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0)
        return false;
    in->vvvv = (~code[2] >> 3) & 15;
    in->pp = (prefix)(code[2] & 3);
    in->opcode = code[3];
    if (in->opcode != 0x49 && in->opcode != 0x4b && in->opcode != 0x5e)
        return false;
    decode_operands(in, code, 4, (~code[1] >> 5) & 7, context);
    return true;
}

/* ------------------------------------------------------------------------------ execute ---- */

static void *pointer_to(uint64_t address)
{
    return (void *)(uintptr_t)address;
}

/* The 64 bytes in memory: tiles 0..7 exist, those behind them are reserved too. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

/* What the processor accepts for palette 1; to go on in the middle of a tile is not emulated. */
static bool is_valid(const tile_config *c)
{
    if (c->palette != 1 || c->start_row != 0)
        return false;
    for (size_t i = 0; i < sizeof c->reserved; i++)
        if (c->reserved[i] != 0)
            return false;
    for (int t = 0; t < 16; t++) {
        if (t >= TILES && (c->row_bytes[t] != 0 || c->rows[t] != 0))
            return false;
        if (c->row_bytes[t] > ROW_BYTES || c->rows[t] > ROWS)
            return false;
        if ((c->row_bytes[t] == 0) != (c->rows[t] == 0))
            return false;
    }
    return true;
}

static bool load_config(const uint8_t *bytes)
{
    tile_config config;
    memcpy(&config, bytes, sizeof config);
    if (config.palette != 0 && !is_valid(&config))
        return false;
    memset(&tiles, 0, sizeof tiles); /* palette 0: as tilerelease */
    for (int t = 0; t < TILES && config.palette != 0; t++) {
        tiles.row_bytes[t] = (uint8_t)config.row_bytes[t];
        tiles.rows[t] = config.rows[t];
    }
    tiles.configured = config.palette != 0;
    return true;
}

static bool usable(int tile)
{
    return tiles.configured && tile < TILES && tiles.rows[tile] > 0 && tiles.row_bytes[tile] > 0;
}

static bool load_tile(const instruction *in)
{
    if (!in->memory || !in->sib || in->vvvv != 0 || !usable(in->reg))
        return false;
    memset(tiles.data[in->reg], 0, sizeof tiles.data[in->reg]);
    for (int r = 0; r < tiles.rows[in->reg]; r++)
        memcpy(tiles.data[in->reg][r], pointer_to(in->address + (uint64_t)(r * in->stride)),
               tiles.row_bytes[in->reg]);
    return true;
}

static bool store_tile(const instruction *in)
{
    if (!in->memory || !in->sib || in->vvvv != 0 || !usable(in->reg))
        return false;
    for (int r = 0; r < tiles.rows[in->reg]; r++)
        memcpy(pointer_to(in->address + (uint64_t)(r * in->stride)), tiles.data[in->reg][r],
               tiles.row_bytes[in->reg]);
    return true;
}

/* Bytes as numbers. */
static void widen(int16_t *restrict out, const uint8_t *restrict bytes, bool is_signed)
{
    if (is_signed)
        for (int i = 0; i < ROW_BYTES; i++)
            out[i] = (int8_t)bytes[i];
    else
        for (int i = 0; i < ROW_BYTES; i++)
            out[i] = bytes[i];
}

/* Constant length: compilers make multiply-add vector code of it, for every x86-64. */
static int32_t dot(const int16_t *restrict a, const int16_t *restrict b)
{
    int32_t sum = 0;
    for (int k = 0; k < ROW_BYTES; k++)
        sum += a[k] * b[k];
    return sum;
}

/* c[m][n] += sum over k of a[m][k] * b[k / 4][4 * n + k % 4], mod 2^32; what a and b have beyond
 * their rows and columns is 0. */
static void multiply_tiles(int c, int a, int b, bool a_signed, bool b_signed)
{
    int16_t row[ROW_BYTES], group[ROW_BYTES], columns[ROWS][ROW_BYTES];
    for (int g = 0; g < ROWS; g++) {
        widen(group, tiles.data[b][g], b_signed);
        for (int n = 0; n < ROWS; n++)
            memcpy(&columns[n][4 * g], &group[4 * n], 4 * sizeof(int16_t));
    }
    for (int m = 0; m < tiles.rows[c]; m++) {
        widen(row, tiles.data[a][m], a_signed);
        for (int n = 0; n < tiles.row_bytes[c] / 4; n++) {
            uint32_t out;
            memcpy(&out, &tiles.data[c][m][4 * n], 4);
            out += (uint32_t)dot(row, columns[n]);
            memcpy(&tiles.data[c][m][4 * n], &out, 4);
        }
    }
}

static bool multiply(const instruction *in)
{
    int c = in->reg, a = in->rm, b = in->vvvv;
    if (in->memory || !usable(c) || !usable(a) || !usable(b) || c == a || c == b || a == b)
        return false;
    if (tiles.row_bytes[a] % 4 != 0 || tiles.row_bytes[c] % 4 != 0 ||
        tiles.row_bytes[a] / 4 != tiles.rows[b] || tiles.row_bytes[b] != tiles.row_bytes[c] ||
        tiles.rows[a] != tiles.rows[c])
        return false;
    multiply_tiles(c, a, b, in->pp == PREFIX_F2 || in->pp == PREFIX_F3,
                   in->pp == PREFIX_F2 || in->pp == PREFIX_66);
    return true;
}

/* ldtilecfg and tilerelease (no prefix), tilezero (F2). */
static bool execute_49(const instruction *in)
{
    if (in->vvvv != 0)
        return false;
    if (in->pp == PREFIX_NONE && in->memory && in->reg == 0)
        return load_config(pointer_to(in->address + (uint64_t)in->stride));
    if (in->pp == PREFIX_NONE && !in->memory && in->reg == 0 && in->rm == 0) {
        memset(&tiles, 0, sizeof tiles);
        return true;
    }
    if (in->pp == PREFIX_F2 && !in->memory && in->rm == 0 && usable(in->reg)) {
        memset(tiles.data[in->reg], 0, sizeof tiles.data[in->reg]);
        return true;
    }
    return false;
}

static bool execute(const instruction *in)
{
    switch (in->opcode) {
    case 0x49:
        return execute_49(in);
    case 0x4b: /* F2 tileloadd, 66 tileloaddt1, F3 tilestored */
        if (in->pp == PREFIX_F3)
            return store_tile(in);
        return in->pp != PREFIX_NONE && load_tile(in);
    case 0x5e: /* F2 tdpbssd, F3 tdpbsud, 66 tdpbusd, none tdpbuud */
        return multiply(in);
    default:
        return false;
    }
}

/*
 * prefetch (0F 18 /0../3) or 64-bit lea at code: do it, and return its length, else 0.  Neither can
 * fault nor touches flags, so the next AMX instruction is reached within the same signal.
 */
static int step_over(const uint8_t *code, ucontext_t *context)
{
    instruction in = {0};
    int rex = (code[0] & 0xf0) == 0x40 ? code[0] & 15 : -1, at = rex >= 0;
    if (code[at] == 0x0f && code[at + 1] == 0x18) {
        decode_operands(&in, code, at + 2, rex >= 0 ? rex & 7 : 0, context);
        return in.memory && (in.reg & 7) < 4 ? in.length : 0;
    }
    if (rex < 8 || code[at] != 0x8d)
        return 0;
    decode_operands(&in, code, at + 1, rex & 7, context);
    if (!in.memory)
        return 0;
    context->uc_mcontext.gregs[slot_of_register[in.reg]] = (int64_t)in.address + in.stride;
    return in.length;
}

static void handle_sigill(int number, siginfo_t *info, void *raw_context)
{
    ucontext_t *context = raw_context;
    greg_t *rip = &context->uc_mcontext.gregs[REG_RIP];
    unsigned long long done = 0;
    (void)number, (void)info;
    for (;;) {
        instruction in;
        const uint8_t *code = pointer_to((uint64_t)*rip);
        int skipped = done > 0 ? step_over(code, context) : 0;
        if (skipped == 0) {
            if (!decode_vex(&in, code, context) || !execute(&in))
                break;
            skipped = in.length;
            done++;
        }
        *rip += skipped;
    }
    atomic_fetch_add(&emulated, done);
    if (done == 0)
        sigaction(SIGILL, &previous, NULL); /* not ours: it faults again, for who came before */
}

bool amx_emulator_install(void)
{
    const uint32_t others = CPU_AVX2 | CPU_F16C | CPU_AVX512 | CPU_AVX512_VNNI;
    static atomic_bool emulating;
    struct sigaction before, action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
    action.sa_sigaction = handle_sigill;
    if (!atomic_load(&emulating) && (cpu_features() & CPU_AMX_INT8) != 0)
        return true; /* the real thing */
    if ((cpu_features() & others) != others || sigaction(SIGILL, &action, &before) != 0)
        return false;
    if ((before.sa_flags & SA_SIGINFO) == 0 || before.sa_sigaction != handle_sigill)
        previous = before;
    atomic_store(&emulating, true);
    cpu_features_assume(CPU_AMX_INT8);
    return true;
}
