#pragma once

// One header a user: each keeps to itself.
#include "avalo_system.h"
#include "avalo_reactor.h"
#include "avalo_load.h"
#include "avalo_spawn.h"
