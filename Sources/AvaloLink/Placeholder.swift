// AvaloLink
