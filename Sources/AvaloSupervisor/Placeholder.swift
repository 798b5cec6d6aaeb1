// AvaloSupervisor
