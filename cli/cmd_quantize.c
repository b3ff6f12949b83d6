/* mantissa quantize: a language model with its layers in 4 bits. */
#include "cli.h"

#include "make_folder.h"

static int run_quantize(cli_args *args)
{
    return make_folder(args, mts_quantize, "quantized");
}

const cli_command command_quantize = {
    .name = "quantize",
    .usage = "quantize --model_name_or_path BASE --output_dir OUT [options]",
    .summary = "write a language model with its layers in 4 bits",
    .about = "Packs the matrices of the layers of the language model BASE, a folder or a GGUF "
             "file, in NF4 with\n"
             "double quantisation, and writes a folder that transformers opens with bitsandbytes; "
             "all else is\n"
             "bfloat16. What memory is needed does not depend on the size of the model. A run that "
             "was stopped\n"
             "leaves OUT.partial; the same command goes on with it.",
    .use = MTS_USE_QUANTIZE,
    .takes_model = true,
    .run = run_quantize,
};
