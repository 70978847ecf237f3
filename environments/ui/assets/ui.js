// What pages need beyond htmx; nothing of it is needed to read them.
"use strict";
