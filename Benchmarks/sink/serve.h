// The sink's answers.
#pragma once

#include "connection.h"

// Reads one request with its body, and answers it; false at the end of the connection.
bool serve(struct connection *c);
