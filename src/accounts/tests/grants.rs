//! Codes and tokens: each is good once, for a while, for its developer, and for who can prove that it had it asked for.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{
    connect::{Pair, profile},
    *,
};
use crate::accounts::{Authorization, GrantError, Limits, Principal, S256, Tokens};

const BACK: &str = "https://app.example/back";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn challenge() -> S256 {
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".parse().unwrap()
}

fn bearer(token: &Secret) -> Vec<u8> {
    format!("Bearer {}", token.reveal()).into_bytes()
}

struct Scene {
    accounts: Accounts,
    pair: Pair,
    authorization: Authorization,
    developer: std::sync::Arc<Principal>,
}

impl Scene {
    async fn new(world: &World) -> Scene {
        let accounts = world.node().await;
        let pair = Pair::new(&accounts).await;
        let authorization = pair.allow(&accounts, "media:read").await;
        let shown = token_of(&pair.developer);
        let developer = accounts.authenticate(Header::new(&shown), HERE, Access::Write).await.unwrap();
        Scene { accounts, pair, authorization, developer }
    }

    async fn code(&self) -> Secret {
        self.accounts.issue_code(&self.authorization, BACK, Some(&challenge()), &operator()).await.unwrap()
    }

    async fn exchange(&self, code: &Secret) -> Result<Tokens, GrantError> {
        self.accounts.exchange_code(code.reveal(), Some(VERIFIER), Some(BACK), &self.developer).await
    }

    async fn tokens(&self) -> Tokens {
        self.exchange(&self.code().await).await.unwrap()
    }
}

fn is_invalid<T: std::fmt::Debug>(result: &Result<T, GrantError>) -> bool {
    matches!(result, Err(GrantError::Invalid(_)))
}

#[tokio::test]
async fn a_code_gives_tokens_once_and_again_revokes_them() {
    for world in World::both().await {
        let scene = Scene::new(&world).await;
        let there = world.node().await;
        let code = scene.code().await;
        let tokens = scene.exchange(&code).await.unwrap();
        assert_eq!((tokens.account, tokens.scope.as_str()), (scene.authorization.sid, "media:read"));
        assert_eq!(tokens.access_life, Duration::from_secs(900));
        let acting = there.authenticate(Header::new(&bearer(&tokens.access)), HERE, Access::Read).await.unwrap();
        assert_eq!((acting.account, acting.scopes.to_string().as_str()), (scene.authorization.sid, "media:read"));
        assert_eq!(acting.actor().application, Some(scene.pair.app.sid));
        assert!(Header::new(&bearer(&tokens.access)).is_ours());
        // Refreshed, all that was given before is good until it ends, but for the refresh token.
        let next = scene.accounts.refresh(tokens.refresh.reveal(), &scene.developer).await.unwrap();
        for token in [&tokens.access, &next.access] {
            assert_eq!(ask(&there, &bearer(token)).await, Ok(scene.authorization.sid));
        }
        assert!(is_invalid(&scene.exchange(&code).await));
        there.hear().await.unwrap();
        for token in [&tokens.access, &next.access] {
            assert_eq!(ask(&there, &bearer(token)).await, Err(Refusal::Revoked));
        }
        assert!(is_invalid(&scene.accounts.refresh(next.refresh.reveal(), &scene.developer).await));
        // Of another code nothing is taken.
        let others = scene.tokens().await;
        assert!(is_invalid(&scene.exchange(&code).await));
        assert_eq!(ask(&there, &bearer(&others.access)).await, Ok(scene.authorization.sid));

        // What lies in the store lets nobody in.
        let all = [&code, &tokens.access, &tokens.refresh, &next.refresh, &others.refresh];
        scene.accounts.close().await;
        there.close().await;
        let data = world.data();
        assert!(contains(&data, BACK), "this is where they would lie");
        for secret in all {
            assert!(!contains(&data, secret.reveal()) && !contains(&data, &secret.reveal()[32..]));
        }
    }
}

#[tokio::test]
async fn a_code_is_for_who_had_it_asked_for_and_for_a_minute() {
    for world in World::both().await {
        let scene = Scene::new(&world).await;
        let accounts = &scene.accounts;
        let other_verifier = "x".repeat(43);
        for (verifier, back) in [
            (None, Some(BACK)),
            (Some(other_verifier.as_str()), Some(BACK)),
            (Some(VERIFIER), Some("https://app.example/back/")),
            (Some(VERIFIER), None),
        ] {
            let code = scene.code().await;
            let refused = accounts.exchange_code(code.reveal(), verifier, back, &scene.developer).await;
            assert!(is_invalid(&refused), "{verifier:?} {back:?}: {refused:?}");
            assert!(is_invalid(&scene.exchange(&code).await), "it is spent");
        }
        // Without a challenge nobody has one to prove; a proof of nothing is a code that was taken out of another's way.
        let bare = async || accounts.issue_code(&scene.authorization, BACK, None, &operator()).await.unwrap();
        let given = accounts.exchange_code(bare().await.reveal(), None, Some(BACK), &scene.developer).await;
        assert!(given.is_ok());
        assert!(is_invalid(&scene.exchange(&bare().await).await));

        // Another developer's: it is not known, and stays good for its own.
        let code = scene.code().await;
        let other = accounts.create_account(None, "", &operator()).await.unwrap();
        let other = accounts.authenticate(Header::new(&token_of(&other)), HERE, Access::Write).await.unwrap();
        let refused = accounts.exchange_code(code.reveal(), Some(VERIFIER), Some(BACK), &other).await;
        let unknown = accounts.exchange_code(&"0".repeat(75), Some(VERIFIER), Some(BACK), &other).await;
        assert_eq!(refused.unwrap_err().to_string(), unknown.unwrap_err().to_string());
        // Nor is one known whose secret is wrong, and it spends nothing.
        let wrong = Secret::new(format!("{}{}", &code.reveal()[..32], "x".repeat(43)));
        assert!(is_invalid(&scene.exchange(&wrong).await));
        assert!(scene.exchange(&code).await.is_ok());
        // A key that was given a part gets no tokens, which would have all.
        let new = NewKey { scopes: Scopes::all(), ..new_key(KeyKind::Api) };
        let (key, secret) = accounts.create_key(&scene.pair.developer.sid, &new, &operator()).await.unwrap();
        let shown = basic(key.sid, &secret);
        let by_key = accounts.authenticate(Header::new(&shown), HERE, Access::Write).await.unwrap();
        let by_app = scene.pair.shown(&scene.authorization);
        let by_app = accounts.authenticate(Header::new(&by_app), HERE, Access::Write).await.unwrap();
        for who in [by_key, by_app] {
            let refused = accounts.exchange_code(scene.code().await.reveal(), Some(VERIFIER), Some(BACK), &who).await;
            assert!(matches!(refused, Err(GrantError::Unauthorized)), "{refused:?}");
        }
        for nonsense in ["", "x", "é", &"é".repeat(80), &"0".repeat(32), &"f".repeat(4_000)] {
            assert!(is_invalid(&scene.exchange(&Secret::new(nonsense.to_owned())).await), "{nonsense:?}");
        }

        let code = scene.code().await;
        world.clock.advance_wall(Duration::from_secs(61));
        assert!(is_invalid(&scene.exchange(&code).await));
        scene.accounts.close().await;
    }
}

#[tokio::test]
async fn a_refresh_token_gives_the_next_and_again_ends_its_family() {
    for world in World::both().await {
        let scene = Scene::new(&world).await;
        let refresh = async |token: &Secret| scene.accounts.refresh(token.reveal(), &scene.developer).await;
        let first = scene.tokens().await;
        let bystander = scene.tokens().await;
        let second = refresh(&first.refresh).await.unwrap();
        let third = refresh(&second.refresh).await.unwrap();
        assert!(is_invalid(&refresh(&first.refresh).await), "the first of three");
        assert!(is_invalid(&refresh(&third.refresh).await), "all of them");
        for tokens in [&first, &second, &third] {
            assert_eq!(ask(&scene.accounts, &bearer(&tokens.access)).await, Err(Refusal::Revoked));
        }
        assert_eq!(ask(&scene.accounts, &bearer(&bystander.access)).await, Ok(scene.authorization.sid));

        // Each waits a month for its use, counted anew.
        let mut newest = bystander;
        for _ in 0..3 {
            world.clock.advance_wall(Duration::from_secs(29 * 86_400));
            newest = refresh(&newest.refresh).await.unwrap();
        }
        world.clock.advance_wall(Duration::from_secs(31 * 86_400));
        assert!(is_invalid(&refresh(&newest.refresh).await));
        scene.accounts.close().await;
    }
}

#[tokio::test]
async fn of_two_who_come_at_once_one_gets_tokens_and_they_are_over() {
    for world in World::both().await {
        let scene = Scene::new(&world).await;
        let there = world.node().await;
        let code = scene.code().await;
        let on = |node| Accounts::exchange_code(node, code.reveal(), Some(VERIFIER), Some(BACK), &scene.developer);
        let (one, two) = tokio::join!(on(&scene.accounts), on(&there));
        let given: Vec<_> = [one, two].into_iter().flatten().collect();
        assert!(given.len() <= 1, "{given:?}");
        there.hear().await.unwrap();
        for tokens in given {
            assert_eq!(ask(&there, &bearer(&tokens.access)).await, Err(Refusal::Revoked));
            assert!(is_invalid(&there.refresh(tokens.refresh.reveal(), &scene.developer).await));
        }
        scene.accounts.close().await;
        there.close().await;
    }
}

#[tokio::test]
async fn an_access_token_lives_fifteen_minutes_and_says_nothing_of_what_it_may() {
    let mut world = World::sqlite();
    let file = world.dir.path().join("keys");
    std::fs::write(&file, format!("{}\n", "01".repeat(32))).unwrap();
    world.config.key_file = Some(file.clone());
    let scene = Scene::new(&world).await;
    let tokens = scene.tokens().await;
    let shown = bearer(&tokens.access);
    assert_eq!(ask(&scene.accounts, &shown).await, Ok(scene.authorization.sid));
    // Narrowed, it may less at once.
    let (user, app) = (&scene.pair.user.sid, &scene.pair.app.sid);
    scene.accounts.allow(user, app, profile("get-all"), Limits::default(), &operator()).await.unwrap();
    let may = async || {
        let acting = scene.accounts.authenticate(Header::new(&shown), HERE, Access::Read).await.unwrap();
        acting.scopes.to_string()
    };
    assert_eq!(may().await, "media:read applications:read numbers:read");
    scene.accounts.narrow(user, app, profile("numbers:read"), Limits::default(), &operator()).await.unwrap();
    assert_eq!(may().await, "numbers:read");

    // Another key of the key file in front signs new ones, and those of the old are good as long as it is there.
    std::fs::write(&file, format!("{}\n{}\n", "02".repeat(32), "01".repeat(32))).unwrap();
    let replaced = world.node().await;
    assert_eq!(ask(&replaced, &shown).await, Ok(scene.authorization.sid));
    std::fs::write(&file, format!("{}\n", "02".repeat(32))).unwrap();
    let without = world.node().await;
    assert_eq!(ask(&without, &shown).await, Err(Refusal::Wrong));

    // Whatever is changed of it, it is none.
    let token = tokens.access.reveal();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
    let claims = String::from_utf8(URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let forged = |claims: &str| format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims));
    let other = claims.replace(&scene.authorization.sid.to_string(), &user.to_string());
    assert_ne!(other, claims);
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let unsigned = format!("{none}.{}.", URL_SAFE_NO_PAD.encode(&claims));
    for wrong in [forged(&other), unsigned, format!("{header}.{}.", URL_SAFE_NO_PAD.encode(&claims))] {
        assert_eq!(ask(&scene.accounts, &bearer(&Secret::new(wrong))).await, Err(Refusal::Wrong));
    }

    // The account ends all clients' tokens on it, and these are some.
    scene.accounts.end_client_tokens(&scene.authorization.sid, &operator()).await.unwrap();
    assert_eq!(ask(&scene.accounts, &shown).await, Err(Refusal::Revoked));
    let tokens = scene.accounts.refresh(tokens.refresh.reveal(), &scene.developer).await.unwrap();
    assert_eq!(ask(&scene.accounts, &bearer(&tokens.access)).await, Ok(scene.authorization.sid));
    world.clock.advance_wall(Duration::from_secs(901));
    assert_eq!(ask(&scene.accounts, &bearer(&tokens.access)).await, Err(Refusal::Wrong));
}

#[tokio::test]
async fn who_revokes_what_was_allowed_or_a_token_ends_all_that_came_of_it() {
    for world in World::both().await {
        let scene = Scene::new(&world).await;
        let (user, app) = (&scene.pair.user.sid, &scene.pair.app.sid);
        let over = async |tokens: &Tokens| {
            let refused = scene.accounts.refresh(tokens.refresh.reveal(), &scene.developer).await;
            is_invalid(&refused) && ask(&scene.accounts, &bearer(&tokens.access)).await == Err(Refusal::Revoked)
        };
        let [one, two, three] = [scene.tokens().await, scene.tokens().await, scene.tokens().await];
        let revoke =
            async |token: &Secret| scene.accounts.revoke_token(token.reveal(), &scene.developer).await.unwrap();
        revoke(&one.refresh).await;
        assert!(over(&one).await);
        revoke(&two.access).await;
        assert!(over(&two).await);
        // What there is not is revoked already, and what only begins like one revokes nothing.
        revoke(&Secret::new(format!("{}{}", &three.refresh.reveal()[..32], "x".repeat(43)))).await;
        revoke(&Secret::new("nonsense".to_owned())).await;
        let other = scene.accounts.create_account(None, "", &operator()).await.unwrap();
        let other = scene.accounts.authenticate(Header::new(&token_of(&other)), HERE, Access::Write).await.unwrap();
        for token in [&three.refresh, &three.access] {
            scene.accounts.revoke_token(token.reveal(), &other).await.unwrap();
        }
        let three = scene.accounts.refresh(three.refresh.reveal(), &scene.developer).await.unwrap();

        let code = scene.code().await;
        scene.accounts.revoke(user, app, &operator()).await.unwrap();
        assert!(over(&three).await);
        assert!(is_invalid(&scene.exchange(&code).await));
        let revoked = scene.accounts.issue_code(&scene.authorization, BACK, None, &operator()).await;
        assert!(matches!(revoked, Err(AccountsError::NotFound(_))));
        // Allowed again, what was given before stays over.
        scene.pair.allow(&scene.accounts, "media:read").await;
        assert!(over(&three).await);
        assert!(is_invalid(&scene.exchange(&code).await));
        scene.accounts.close().await;
    }
}

#[tokio::test]
async fn codes_and_families_of_an_authorization_are_bounded() {
    let world = World::sqlite();
    let scene = Scene::new(&world).await;
    let first = scene.tokens().await;
    for _ in 0..25 {
        scene.code().await;
    }
    let count = store::Statement::new("SELECT count(*) FROM connect_grants");
    assert_eq!(scene.accounts.inner.store.read(count.clone()).await.unwrap()[0].int(0).unwrap(), 20);
    assert_eq!(ask(&scene.accounts, &bearer(&first.access)).await, Err(Refusal::Revoked), "the oldest is gone");
    world.clock.advance_wall(Duration::from_secs(120));
    scene.code().await;
    assert_eq!(scene.accounts.inner.store.read(count).await.unwrap()[0].int(0).unwrap(), 1);
}
