"""Has schemathesis ask about an account that is there, in half of the cases."""

import schemathesis


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    if path_parameters and "account" in path_parameters and len(path_parameters["account"]) % 2 == 0:
        return {**path_parameters, "account": "@ACCOUNT@"}
    return path_parameters
