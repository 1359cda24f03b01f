//! Path templates of an API: checks them, and compiles them into one tree.

use std::collections::HashMap;

use crate::config::api::Route;
use crate::problem::Problem;
use crate::sanitize::normalise;

/// The methods that a route may name, besides those registered by extensions of HTTP.
const USUAL: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or another token in capitals";

/// A tree from path to the indexes of the routes with that path.
pub type Tree = matchit::Router<Vec<usize>>;

/// Every fault of an API's routes.
pub fn check(routes: &[Route]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        if let Err(why) = check_path(&route.path) {
            problems.push(
                Problem::new(format!("/routes/{index}/path"), why, "a path such as /items/{id} or /files/{*path}")
                    .found(route.path.as_str()),
            );
        }
        for (place, method) in route.methods.iter().enumerate() {
            let is_token = !method.is_empty()
                && method.len() <= 32
                && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
            if !is_token || method == "CONNECT" {
                problems.push(
                    Problem::new(format!("/routes/{index}/methods/{place}"), "not a method that can be routed", USUAL)
                        .found(method.as_str()),
                );
            }
        }
    }
    if problems.is_empty() {
        problems.extend(compile(routes).err().into_iter().flatten());
    }
    problems
}

fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("a path begins with /");
    }
    let mut names = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == "." || segment == ".." {
            return Err("a path has no dot segments");
        }
        let Some(parameter) = segment.strip_prefix('{') else {
            if !segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte)) {
                return Err("a parameter fills a whole segment, and other segments are literal");
            }
            // A request's path is matched in its one spelling; another one would never be found.
            if normalise(&format!("/{segment}")).as_deref() != Ok(&*format!("/{segment}")) {
                return Err("percent-encoding is for what needs it, in capitals: %20, %C3%A9");
            }
            continue;
        };
        let Some(name) = parameter.strip_suffix('}') else { return Err("a { without its }") };
        let rest = name.strip_prefix('*');
        if rest.is_some() && segments.peek().is_some() {
            return Err("{*rest} comes last");
        }
        let name = rest.unwrap_or(name);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err("a parameter's name has letters, digits and _ only");
        }
        if names.contains(&name) {
            return Err("the same parameter twice");
        }
        names.push(name);
    }
    Ok(())
}

/// The tree of an API's routes, or the routes that no request could be told apart by.
pub fn compile(routes: &[Route]) -> Result<Tree, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut tree = Tree::new();
    let mut by_path: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut order = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let same = by_path.entry(route.path.as_str()).or_insert_with(|| {
            order.push(route.path.as_str());
            Vec::new()
        });
        let rival = same.iter().find(|other| {
            let other = &routes[**other].methods;
            other.is_empty() || route.methods.is_empty() || route.methods.iter().any(|method| other.contains(method))
        });
        if let Some(rival) = rival {
            problems.push(
                Problem::new(
                    format!("/routes/{index}"),
                    format!("ambiguous: route {rival} has the same path and a method in common"),
                    "routes that differ in path or in methods",
                )
                .found(route.path.as_str()),
            );
        }
        same.push(index);
    }
    for path in order {
        let indexes = by_path.remove(path).expect("every path in `order` is in the map");
        let first = indexes[0];
        if let Err(error) = tree.insert(path, indexes) {
            let why = match error {
                matchit::InsertError::Conflict { with } => format!("ambiguous: it matches the same requests as {with}"),
                other => other.to_string(),
            };
            problems
                .push(Problem::new(format!("/routes/{first}/path"), why, "routes that can be told apart").found(path));
        }
    }
    if problems.is_empty() { Ok(tree) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, methods: &[&str]) -> Route {
        Route { path: path.to_owned(), methods: methods.iter().map(|method| (*method).to_owned()).collect() }
    }

    #[test]
    fn ambiguous_routes_are_refused() {
        assert!(check(&[route("/a", &["GET"]), route("/a", &["POST"])]).is_empty());
        assert_eq!(check(&[route("/a", &["GET"]), route("/a", &[])]).len(), 1);
        assert_eq!(check(&[route("/{id}", &[]), route("/{name}", &[])]).len(), 1);
        assert!(check(&[route("/{id}", &[]), route("/me", &[])]).is_empty());
    }

    #[test]
    fn bad_templates_are_refused() {
        for path in [
            "a",
            "/{",
            "/{a}x",
            "/x{a}",
            "/{*rest}/more",
            "/{a}/{a}",
            "/..",
            "/{}",
            "/{a-b}",
            "/ü",
            "/%61",
            "/%c3%a9",
            "/%2F",
            "/%",
        ] {
            assert_eq!(check(&[route(path, &[])]).len(), 1, "{path}");
        }
        assert_eq!(check(&[route("/a", &["get"])]).len(), 1);
    }
}
