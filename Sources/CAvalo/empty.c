#include "CAvalo.h"
