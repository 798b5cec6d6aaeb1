// AvaloStoreSQLite
