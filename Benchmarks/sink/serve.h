// What the sink answers.
#pragma once

#include "connection.h"

// Reads one request, its body too, and answers it; false when the connection has come to its end.
bool serve(struct connection *c);
