import AvaloSystem

/// The page: files that are in the program, and what every answer says of what a browser may do with it.
enum PageFiles {
  /// By their paths.
  private static let files: [(path: String, type: String, bytes: [UInt8])] = [
    ("/", "text/html; charset=utf-8", PackageResources.index_html),
    ("/console.css", "text/css; charset=utf-8", PackageResources.console_css),
    ("/console.mjs", "text/javascript; charset=utf-8", PackageResources.console_mjs),
    ("/ask.mjs", "text/javascript; charset=utf-8", PackageResources.ask_mjs),
    ("/chart.mjs", "text/javascript; charset=utf-8", PackageResources.chart_mjs),
    ("/elements.mjs", "text/javascript; charset=utf-8", PackageResources.elements_mjs),
    ("/overview.mjs", "text/javascript; charset=utf-8", PackageResources.overview_mjs),
    ("/search.mjs", "text/javascript; charset=utf-8", PackageResources.search_mjs),
    ("/searches.mjs", "text/javascript; charset=utf-8", PackageResources.searches_mjs),
    ("/trace.mjs", "text/javascript; charset=utf-8", PackageResources.trace_mjs),
  ]

  static func add(to routes: HTTPRoutes) {
    for file in files {
      let response = guarded(HTTPResponse(headers: ["Content-Type": file.type], body: file.bytes))
      routes.add("GET", file.path) { _ in response }
    }
    routes.add(prefix: "/") { _ in guarded(.text("There is no such page.", status: 404)) }
  }

  /// No script, style or connection but the page's own, no frame around it, nothing kept.
  static func guarded(_ response: HTTPResponse) -> HTTPResponse {
    var response = response
    for (name, value) in headers { response.headers[name] = value }
    return response
  }

  private static let headers: KeyValuePairs<String, String> = [
    "Content-Security-Policy":
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
      + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
  ]
}
