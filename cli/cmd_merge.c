/* mantissa merge: a model with an adapter in its weights. */
#include "cli.h"

#include "make_folder.h"

static int run_merge(cli_args *args)
{
    return make_folder(args, mts_merge, "merged");
}

const cli_command command_merge = {
    .name = "merge",
    .usage = "merge BASE --adapter_name_or_path DIR --output_dir OUT [options]",
    .summary = "write a model with an adapter in its weights",
    .about = "Adds the adapter in the folder DIR, or its first --rank ranks, to the weights of the "
             "model BASE\n"
             "(or --model_name_or_path), a folder or a GGUF file, and writes a folder that "
             "transformers opens.\n"
             "The sums are float32; what memory is needed does not depend on the size of the "
             "model.",
    .use = MTS_USE_MERGE,
    .takes_model = true,
    .run = run_merge,
};
