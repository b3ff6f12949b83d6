/* mantissa synth: a folder of a known model's shape, with random weights. */
#include "cli.h"

#include "make_folder.h"

static int run_synth(cli_args *args)
{
    return make_folder(args, mts_synth, "random");
}

const cli_command command_synth = {
    .name = "synth",
    .usage = "synth --like MODEL --output_dir OUT [options]",
    .summary = "write a model of a known shape with random weights",
    .about =
        "Writes a folder with config.json and every tensor of a known language model, filled "
        "with random\n"
        "numbers, and a tokenizer of bytes: to measure memory and time of a model that is not "
        "at hand. The\n"
        "matrices of the layers are in NF4, as 'mantissa quantize' writes them, or in bfloat16 "
        "with\n"
        "--base_bits 16. A run that was stopped leaves OUT.partial; the same command goes on "
        "with it.",
    .use = MTS_USE_SYNTH,
    .run = run_synth,
};
