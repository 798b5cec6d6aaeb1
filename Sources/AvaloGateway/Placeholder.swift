// AvaloGateway
