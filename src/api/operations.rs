//! Routes, what they need, what they count as and what the document says of them, declared together: by [`operations!`] there is no route without its
//! operation, its permission or its kind of work, and none whose path or method is another than the document's.

use axum::{
    Router,
    handler::Handler,
    routing::{self, MethodFilter},
};
use utoipa::openapi::HttpMethod;

use super::permission::{Counts, Gate, Gated, Needs};

/// A document of operations, and a function that routes requests to them.
///
/// Each operation is a handler with `#[utoipa::path]`, the type that the attribute makes beside it, and what it [`Needs`] and the
/// kind of work by which it is admitted: `keys::{list, __path_list} needs Read(Keys) counts Accounts`. Where a parameter has slashes in it, which a document cannot say, `at` gives the route as the router
/// wants it. `else reserve` is for those by which operators look after the node: they are let in by the reserve where nobody else is. `schemas` are those that only parameters and what is made by code refer to.
macro_rules! operations {
    (
        $(#[$doc:meta])*
        $document:ident, $routes:ident, $state:ty, schemas($($schema:ident),*):
        $($module:ident::{$handler:ident, $operation:ident} $(at $route:literal)? needs $needs:ident $(($resource:ident))? counts $counts:ident $(else $reserve:ident)?,)*
    ) => {
        $(#[$doc])*
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($module::$handler),*), components(schemas($($schema),*)))]
        pub(super) struct $document;

        impl $document {
            /// What each operation needs.
            pub(super) fn needs() -> Vec<$crate::api::operations::Need> {
                vec![$(
                    $crate::api::operations::need::<$module::$operation>(
                        $crate::api::permission::Needs::$needs $(($crate::accounts::Resource::$resource))?,
                        $crate::api::operations::counts!($counts $($reserve)?),
                    )
                ),*]
            }
        }

        /// Routes requests to the operations of the document.
        fn $routes() -> axum::Router<$state> {
            let router = axum::Router::new();
            $(
                let at: &[&str] = &[$($route)?];
                let needs = $crate::api::permission::Needs::$needs $(($crate::accounts::Resource::$resource))?;
                let router =
                    $crate::api::operations::serve::<$module::$operation, _, _, _>(
                        router, at, (needs, $crate::api::operations::counts!($counts $($reserve)?)), $module::$handler
                    );
            )*
            router
        }
    };
}

/// What an operation counts as, as [`operations!`] says it.
macro_rules! counts {
    ($counts:ident) => {
        $crate::api::permission::Counts { resource: $crate::concurrency::Resource::$counts, is_operators: false }
    };
    ($counts:ident reserve) => {
        $crate::api::permission::Counts { resource: $crate::concurrency::Resource::$counts, is_operators: true }
    };
}

pub(super) use {counts, operations};

/// What one operation needs.
#[derive(Clone)]
pub(super) struct Need {
    /// Its path in the document.
    pub(super) path: String,
    pub(super) methods: Vec<HttpMethod>,
    pub(super) needs: Needs,
    pub(super) counts: Counts,
}

/// What an operation needs, as the document is told.
pub(super) fn need<P: utoipa::Path>(needs: Needs, counts: Counts) -> Need {
    Need { path: P::path(), methods: P::methods(), needs, counts }
}

/// Has `handler` answer what its operation says, at the operation's path or at those of `at`, to who may, and to no more at once than may.
pub(super) fn serve<P, H, T, S>(
    mut router: Router<S>,
    at: &[&str],
    (needs, counts): (Needs, Counts),
    handler: H,
) -> Router<S>
where
    P: utoipa::Path,
    H: Handler<T, S>,
    T: 'static,
    S: Gate,
{
    let (path, handler) = (P::path(), Gated { needs, counts, handler });
    let routes = if at.is_empty() { routes(&path) } else { at.iter().map(|route| (*route).to_owned()).collect() };
    for route in &routes {
        for method in P::methods() {
            router = router.route(route, routing::on(filter(&method), handler.clone()));
        }
    }
    router
}

/// Where a path of the document is answered: in the ecosystem's API with and without `.json`.
fn routes(path: &str) -> Vec<String> {
    match path.strip_suffix(".json") {
        // The last parameter takes the suffix along, and who reads it leaves it out.
        Some(short) if short.ends_with('}') => vec![short.to_owned()],
        Some(short) => vec![short.to_owned(), path.to_owned()],
        None => vec![path.to_owned()],
    }
}

fn filter(method: &HttpMethod) -> MethodFilter {
    match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn routes_of_paths() {
        let check = |path: &str, expected: &[&str]| assert_eq!(super::routes(path), expected, "for {path}");
        check("/v1/media", &["/v1/media"]);
        check("/a/{account}/Keys.json", &["/a/{account}/Keys", "/a/{account}/Keys.json"]);
        check("/a/{account}/Keys/{sid}.json", &["/a/{account}/Keys/{sid}"]);
    }
}
