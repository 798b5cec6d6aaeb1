Echo.serve()
